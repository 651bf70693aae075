// What every page shares: widths of columns, saving a picture, copying the link, dark and light.
(() => {
  const width = (id) => Math.floor(document.getElementById(id)?.getBoundingClientRect().width || 0)
  window.workbench = {
    // Says which button was pressed, by its data. A part may be drawn again while the button is
    // down; then no click follows, but the hand lifts from a button that does the same.
    clicks: (element, trigger) => {
      let held = null, done = false
      const button = (event) =>
        document.elementFromPoint(event.clientX, event.clientY)?.closest('[data-do]')
      const asks = (pressed) => pressed && JSON.stringify(pressed.dataset)
      const act = (pressed) => {
        const mark = 'marked' in pressed.dataset && element.querySelector('[data-mark]')
        if (mark && !('moved' in mark.dataset)) {
          element.querySelector('[data-hint]').textContent = mark.dataset.first
          return mark.focus()
        }
        trigger('click', { ...pressed.dataset, ...(mark && { guess: mark.value }) })
      }
      // the second click of a double click asks for nothing new, and may meet another button
      element.addEventListener('mousedown', (event) => {
        held = event.button || event.detail > 1 ? null : asks(button(event))
      })
      element.addEventListener('mouseup', (event) => {
        const pressed = button(event)
        if (pressed && element.contains(pressed) && asks(pressed) === held) {
          done = true
          setTimeout(() => { done = false })
          act(pressed)
        }
        held = null
      })
      element.addEventListener('click', (event) => { // by a key, or by what reads the page aloud
        const pressed = event.target.closest('[data-do]')
        if (pressed && !done && event.detail < 2) act(pressed)
      })
      element.addEventListener('input', ({ target: mark }) => { // a guess on a slider
        if (!mark.matches('[data-mark]')) return
        const said = mark.value + '\u202f%', share = (mark.value - mark.min) / (mark.max - mark.min)
        mark.dataset.moved = ''
        element.querySelector('[data-hint]').textContent = ''
        mark.setAttribute('aria-valuetext', said)
        mark.nextElementSibling.textContent = said
        mark.style.setProperty('--range_progress', 100 * share + '%')
      })
    },
    // nothing while they are out of sight, where all are 0 wide
    widths: () => {
      const all = ['middle', 'side', 'wide', 'everybody'].map(width)
      return all.every(Boolean) ? all.join(',') : ''
    },
  }
  const dark = () => document.body.classList.contains('dark')
  const label = () => {
    const link = document.getElementById('mode')
    if (link) link.textContent = dark() ? link.dataset.light : link.dataset.dark
  }
  // the mode is kept; an address with __theme wins
  const asked = new URLSearchParams(location.search).get('__theme')
  const kept = localStorage.getItem('workbench_mode')
  const begin = () => {
    if (!asked && kept) document.body.classList.toggle('dark', kept === 'dark')
    label()
  }
  new MutationObserver(label).observe(document.documentElement, {
    subtree: true, attributes: true, attributeFilter: ['class'],
  })
  document.readyState === 'loading' ? addEventListener('DOMContentLoaded', begin) : begin()

  const save = (name) => {
    const drawn = document.querySelector(`#${name} svg`), picture = drawn?.cloneNode(true)
    if (!picture) return
    picture.setAttribute('width', Math.round(drawn.getBoundingClientRect().width))
    const style = document.createElementNS('http://www.w3.org/2000/svg', 'style')
    style.textContent = PICTURE + 'svg{background:var(--bg)}'
    picture.prepend(style)
    if (dark()) picture.classList.add('dark')
    const text = new XMLSerializer().serializeToString(picture)
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }))
    link.download = `${name}.svg`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  }
  const copy = (button) => {
    const here = [...document.querySelectorAll('[data-link]')].find((part) => part.offsetParent)
    const query = here?.dataset.link || ''
    const address = `${HERE || location.origin + location.pathname}?${query}`
    if (!HERE) history.replaceState(null, '', `?${query}`)
    const said = button.textContent
    const tell = () => {
      button.textContent = button.dataset.done
      setTimeout(() => { button.textContent = button.dataset.name || said }, 2000)
    }
    navigator.clipboard?.writeText(address).then(tell, tell) ?? tell()
  }
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button, summary')
    if (!button) return
    if (button.dataset.save) save(button.dataset.save)
    else if (button.id === 'copy') copy(button)
    else if (button.id === 'mode') {
      document.body.classList.toggle('dark')
      localStorage.setItem('workbench_mode', dark() ? 'dark' : 'light')
      label()
    } else if (button.tagName === 'SUMMARY') {
      const part = button.closest('details[data-keep]')
      if (part) open[part.open ? 'delete' : 'add'](part.dataset.keep)
    }
  })
  // the open tab is in the address and in the history, however it was opened
  const tabs = () => [...document.querySelectorAll('[role=tab][data-tab-id]')]
  const chosen = () => tabs().find((tab) => tab.ariaSelected === 'true')?.dataset.tabId
  let shown = '', landed = '', going = false, touched = false // else the page itself still arrives
  for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, () => { touched = true }, true)
  const turned = () => {
    const now = chosen()
    if (!now || now === shown) return
    if (!touched) landed = now
    else if (!going && !HERE) history.pushState(null, '', `?tab=${now}`)
    shown = now
    going = false
  }
  new MutationObserver(turned).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true, attributeFilter: ['aria-selected'],
  })
  addEventListener('popstate', () => {
    const name = new URLSearchParams(location.search).get('tab') || landed
    const tab = tabs().find((one) => one.dataset.tabId === name)
    if (!tab || name === shown) return
    going = true
    tab.click()
  })
  // when the button that has the focus goes, the first of its bar takes it
  let held = null
  const bar = new MutationObserver(() => {
    if (!held || held.offsetParent || document.activeElement !== document.body) return
    const first = [...document.querySelectorAll('.run-bar button')].find((one) => one.offsetParent)
    first?.focus()
  })
  document.addEventListener('pointerdown', () => { held = null })
  document.addEventListener('focusin', ({ target }) => {
    held = target.closest('.run-bar button')
    bar.disconnect()
    const place = held?.closest('.run-bar')
    if (place) bar.observe(place, { subtree: true, childList: true, attributes: true })
  })
  // a request that finds no server says so in the page's words, in place of Gradio's
  const ask = window.fetch
  const gone = (is) => document.body?.classList.toggle('gone', is)
  window.fetch = async (...given) => {
    try {
      const answer = await ask(...given)
      gone(false)
      return answer
    } catch (error) {
      if (error instanceof TypeError) gone(true) // what was only called off is another error
      throw error
    }
  }
  // a redrawn picture must not close what somebody opened below it
  const open = new Set()
  new MutationObserver((changes) => {
    for (const { target } of changes)
      if (target.tagName === 'DETAILS' && !target.open && open.has(target.dataset.keep))
        target.open = true
  }).observe(document.documentElement, { subtree: true, attributes: true, attributeFilter: ['open'] })
})()
