// The first act's scripts; start.py gives each part to its component.
// ---
// The bars follow the temperature, and the mark follows the hand: all within a frame.
const root = element.querySelector('.look')
if (root) {
  const { examples, words, labels, teacher } = JSON.parse(root.dataset.facts)
  const $ = (query) => root.querySelector(query), NB = '\u202f'
  const svg = $('.soft-bars'), axis = $('.guess-axis'), slider = $('#start-T'), guess = $('[data-guess]')
  const all = (name) => [...svg.querySelectorAll(`[data-${name}]`)].filter((e) => e.dataset[name] !== '')
  const bars = all('bar'), ghosts = all('ghost'), caps = all('cap'), numbers = all('number')
  const classes = all('class'), pictures = all('picture'), note = svg.querySelector('[data-note]')
  let which = 0, moved = false, timer = 0
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name])
  const fixed = (value, digits) => value.toFixed(digits)
  const percent = (value, digits = 1) => fixed(100 * value, digits) + NB + '%'
  const short = (value) => value.toFixed(1).replace('.0', '')
  const softmax = (logits, T) => {
    const most = Math.max(...logits), shares = logits.map((z) => Math.exp((z - most) / T))
    const total = shares.reduce((a, b) => a + b)
    return shares.map((share) => share / total)
  }
  const sentence = (shares, order, T) => {
    const [best, a, b, c] = order, least = order[order.length - 1], rest = 1 - shares[best]
    const kind = rest < 0.01 ? 'sure' : shares[best] < 0.25 ? 'even' : 'open'
    return fill(words[kind], {
      T: short(T), best, a, b, c, least, low: percent(shares[least]),
      top: percent(shares[best], shares[best] > 0.9 ? 1 : 0), rest: percent(rest, rest >= 0.1 ? 0 : 1),
    })
  }
  const put = (node, name, value) => node.setAttribute(name, value)
  const T = () => { const exact = 2 ** slider.value; return +exact.toFixed(exact < 10 ? 2 : 1) }
  // what was set stays through a reload
  const keep = () => {
    const now = { at: slider.value, which, guess: moved ? guess.value : '' }
    try { sessionStorage.setItem('workbench_start', JSON.stringify(now)) } catch { /* full, or off */ }
  }
  const kept = () => {
    try { return JSON.parse(sessionStorage.getItem('workbench_start')) || {} } catch { return {} }
  }
  const draw = () => {
    const logits = examples[which].logits, t = T(), plot = +svg.dataset.plot
    const shares = softmax(logits, t), cold = softmax(logits, 1)
    const order = shares.map((_, k) => k).sort((i, j) => shares[j] - shares[i])
    const named = new Set(order.slice(0, 4)), wide = svg.clientWidth > 420
    for (const k of shares.keys()) {
      const tall = Math.max(1, shares[k] * plot), ghost = cold[k] > 0.02 ? cold[k] * plot : 0
      put(bars[k], 'y', -tall); put(bars[k], 'height', tall)
      put(ghosts[k], 'y', -ghost); put(ghosts[k], 'height', ghost)
      put(caps[k], 'y', -ghost); put(caps[k], 'height', ghost ? 2 : 0)
      put(numbers[k], 'y', -tall - 6)
      const share = 100 * shares[k]
      numbers[k].textContent = fixed(share, wide || (share > 99 && share < 100) ? 1 : 0)
      put(numbers[k], 'class', (named.has(k) ? 'bold' : 'soft') + ' halo')
      put(classes[k], 'class', named.has(k) ? 'bold' : 'soft')
      put(pictures[k], 'opacity', named.has(k) ? 1 : 0.45)
    }
    const top = order[0], left = top < 7, gap = cold[top] - shares[top] > 0.12
    note.textContent = gap ? fill(words.ghost, { top: percent(cold[top]) }) : ''
    put(note, 'x', 9 + 9.1 * (top + (left ? 0.95 : 0.05)) + '%')
    put(note, 'y', 16 - plot * cold[top])
    put(note, 'text-anchor', left ? 'start' : 'end')
    const said = sentence(shares, order, t)
    $('[data-finding]').textContent = said
    $('[data-now]').textContent = fill(words.now, { T: short(t) })
    put(slider, 'aria-valuetext', fill(words.now, { T: short(t) }))
    slider.style.setProperty('--range_progress', slider.value * 25 + '%')
    put(svg, 'aria-label', fill(words.label, {
      T: short(t), shares: shares.map((share, k) => `${k} ${percent(share)}`).join(', '),
    }))
    root.dataset.link = new URLSearchParams({ tab: 'start', T: short(t), image: which + 1 })
    keep()
    clearTimeout(timer) // a screen reader hears where the slider came to rest
    timer = setTimeout(() => { $('[data-heard]').textContent = said }, 500)
  }
  const lay = () => { // a phone has less height
    const plot = innerWidth < 640 ? 150 : 228
    if (plot !== +svg.dataset.plot) {
      svg.dataset.plot = plot
      put(svg, 'height', plot + 84)
      put(svg.firstElementChild, 'transform', `translate(0,${plot + 20})`)
      for (const node of svg.querySelectorAll('[data-share]')) {
        const y = Math.round(-node.dataset.share * plot) + 0.5
        for (const name of node.tagName === 'line' ? ['y1', 'y2'] : ['y'])
          put(node, name, name === 'y' ? y + 4 : y)
      }
    }
    draw()
  }
  const table = () => { // the numbers of this image
    const cells = root.querySelectorAll('.data tbody tr'), at = [1, 2, 4, 8, 16]
    const columns = at.map((t) => softmax(examples[which].logits, t))
    cells.forEach((row, k) => [...row.querySelectorAll('td')].forEach((cell, i) => {
      cell.textContent = percent(columns[i][k])
    }))
  }
  const choose = (place) => {
    which = place
    for (const image of root.querySelectorAll('[data-example]'))
      image.hidden = +image.dataset.example !== place
    $('[data-its-label]').textContent = fill(words.image, { best: examples[place].label })
    table()
    draw()
  }
  // the guess
  const top = +axis.dataset.top, bottom = +axis.dataset.bottom
  const mark = () => {
    const value = +guess.value
    put($('[data-you]'), 'transform', `translate(0,${bottom - (bottom - top) * (value - 50) / 50})`)
    const shown = { guess: value + NB + '%', teacher: percent(teacher), labels: percent(labels, 0) }
    if (moved) $('[data-said]').textContent = fill(words.guessed.replace('{}', '{value}'), { value })
    put(axis, 'aria-label', fill(moved ? words.guess : words.unguessed, shown))
    put(guess, 'aria-valuetext', value + NB + '%')
    root.toggleAttribute('data-guessed', moved)
    if (moved) $('[data-hint]').textContent = ''
    keep()
  }
  const drag = (event) => {
    const y = event.clientY - axis.getBoundingClientRect().top
    guess.value = Math.round(50 + 50 * (bottom - y) / (bottom - top))
    moved = true
    mark()
  }
  const area = $('.draw')
  area.addEventListener('pointerdown', (event) => {
    if (event.button || (event.pointerType === 'touch' && !event.target.closest('.handle'))) return
    event.preventDefault()
    area.dataset.held = '' // a hand on the mark needs no ring around it, keys do
    guess.focus({ preventScroll: true })
    area.setPointerCapture(event.pointerId)
    drag(event)
  })
  area.addEventListener('pointermove', (event) => area.hasPointerCapture(event.pointerId) && drag(event))
  area.addEventListener('click', drag) // a tap beside the mark, where a finger also scrolls
  guess.addEventListener('input', () => { moved = true; mark() })
  guess.addEventListener('keydown', () => delete area.dataset.held)
  guess.addEventListener('blur', () => delete area.dataset.held)
  slider.addEventListener('input', draw)
  slider.addEventListener('keydown', (event) => { // a tenth of a doubling, where a hand goes finer
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key]
    if (!way) return
    event.preventDefault()
    slider.value = Math.round(10 * slider.value + way) / 10
    draw()
  })
  root.addEventListener('click', (event) => {
    const button = event.target.closest('button')
    if (!button) return
    if ('next' in button.dataset) choose((which + 1) % examples.length)
    else if ('skip' in button.dataset) trigger('click', { do: 'guess', guess: '' })
    else if ('train' in button.dataset) {
      if (moved) trigger('click', { do: 'guess', guess: guess.value })
      else {
        $('[data-hint]').textContent = words.first
        guess.focus()
      }
    }
  })
  new ResizeObserver(lay).observe(svg)
  watch('value', () => { // what the address asked for
    let asked
    try { asked = JSON.parse(props.value) } catch { return }
    if (asked.T) slider.value = Math.log2(asked.T)
    choose(asked.image ? asked.image - 1 : which)
  })
  const before = kept()
  if (before.at) slider.value = before.at
  if (before.guess) { guess.value = before.guess; moved = true }
  lay()
  mark()
  if (before.which in examples) choose(before.which)
}
// ---
// A new step begins at its headline; a page that was away asks again.
let stage = '', heard = Date.now()
const now = () => element.querySelector('#act-now')
watch('value', () => {
  heard = Date.now()
  setTimeout(() => {
    const next = now()?.dataset.stage
    if (stage && next !== stage) {
      const held = document.activeElement // a button that went keeps the focus until the next frame
      const lost = !held || held === document.body || !held.getClientRects().length
      if (lost) element.querySelector('h1')?.focus({ preventScroll: true })
      scrollTo({ top: 0 })
    }
    stage = next || stage
  }, 50)
})
stage = now()?.dataset.stage || ''
// another tab of the same visitor may have gone on meanwhile
let away = document.hidden
const back = () => {
  if (!document.hidden && away && now()?.offsetParent) trigger('input')
  away = document.hidden
}
document.addEventListener('visibilitychange', back)
window.addEventListener('blur', () => { away = true })
window.addEventListener('focus', back)
const race = () => document.getElementById('race')
let points = ''
setInterval(() => { // nothing new for 3 s while students learn: the line was cut
  const seen = race()?.dataset.n
  if (seen !== points) { points = seen; heard = Date.now() }
  if (document.hidden || now()?.dataset.going !== '1' || Date.now() - heard < 3000) return
  heard = Date.now()
  trigger('input')
}, 500)
// ---
// Reports the widths of chart and card when the window changes.
window.start = {
  measure: () => {
    const page = document.getElementById('start')?.clientWidth || 0
    const two = innerWidth >= 1024, phone = innerWidth < 640
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches ? 1 : 0
    return [two ? page - 368 : page, two ? 270 : page - (phone ? 34 : 42), still].join(',')
  },
}
let waiting = 0
window.addEventListener('resize', () => {
  clearTimeout(waiting)
  waiting = setTimeout(() => {
    const size = window.start.measure()
    if (size !== props.value && document.getElementById('start')?.clientWidth) {
      props.value = size
      trigger('input')
    }
  }, 200)
})
props.value = window.start.measure()
