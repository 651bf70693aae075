// The sweep's scripts; _axes.py gives each part to its component.
// ---
// The form's value is one line of JSON: a method decides what may lie on its axes.
const form = element.querySelector('form'), facts = JSON.parse(form.dataset.facts)
const one = (query) => form.querySelector(query)
const method = one('[data-field=method]'), axis = { across: one('#s-across'), down: one('#s-down') }
const seeds = one('[data-field=seeds]')
const rest = [...form.querySelectorAll('[data-own]')].filter((field) => field !== seeds)
const typed = {} // what somebody wrote, by method and axis
let timer = 0, before = {}
const key = (name) => `${method.value}/${name}`
const known = (name) => facts[method.value].axes.find(([axis]) => axis === name)
const values = (name) => typed[key(name)] ?? known(name)?.[2] ?? ''
const mine = (field) => !field.dataset.own || field.dataset.own === method.value
const onAxis = (field) => [axis.across.value, axis.down.value].includes(field.dataset.field)

// the lists of axes, what stands under them, and which knobs are left for the drawer
const suit = () => {
  for (const [way, list] of Object.entries(axis)) {
    const wanted = list.value
    const names = facts[method.value].axes.map(([name]) => name)
    if ([...list.options].map((option) => option.value).join() !== names.join())
      list.replaceChildren(...facts[method.value].axes.map(([name, title]) => new Option(title, name)))
    list.value = names.includes(wanted) ? wanted : names[way === 'across' ? 0 : 1]
  }
  if (axis.across.value === axis.down.value) // the other one gives way
    for (const way of ['across', 'down'])
      if (axis[way].value === before[way] && before[way === 'across' ? 'down' : 'across'])
        axis[way].value = before[way === 'across' ? 'down' : 'across']
  if (axis.across.value === axis.down.value)
    axis.down.value = facts[method.value].axes.map(([name]) => name).find((n) => n !== axis.across.value)
  for (const way of ['across', 'down']) {
    const name = axis[way].value, field = one(`[data-typed=${way}]`)
    one(`[data-has=${way}]`).textContent = values(name)
    one(`[data-values=${way}]`).textContent = known(name)?.[1] ?? ''
    if (document.activeElement !== field) field.value = values(name)
    before[way] = name
  }
  for (const block of form.querySelectorAll('[data-method]'))
    block.hidden = block.dataset.method !== method.value
  for (const field of rest) field.closest('.knob').hidden = !mine(field) || onAxis(field)
}
const collect = () => {
  const { value: across } = axis.across, { value: down } = axis.down
  const found = { method: method.value, across, down, seeds: seeds.value, knobs: {},
    values: { [across]: values(across), [down]: values(down) } }
  for (const field of rest)
    if (mine(field) && !onAxis(field))
      (field.dataset.own ? found.knobs : found)[field.dataset.field] = field.value
  return found
}
const first = (field) => field.tagName === 'SELECT'
  ? [...field.options].find((option) => option.defaultSelected)?.value : field.defaultValue
const link = () => {
  const { values: axes, knobs, ...plain } = collect(), query = new URLSearchParams({ tab: 'sweep' })
  for (const name of ['method', 'across', 'down', 'seeds']) query.set(name, plain[name])
  for (const [name, text] of Object.entries(axes)) query.set(name, text.replaceAll(' ', ''))
  for (const field of rest)
    if (mine(field) && !onAxis(field) && field.value !== first(field))
      query.set(field.dataset.field, field.value)
  one('.front').dataset.link = query
}
const send = () => {
  props.value = JSON.stringify(collect())
  link()
  clearTimeout(timer)
  timer = setTimeout(() => trigger('input'), 200)
}
const fill = () => {
  let found
  try { found = JSON.parse(props.value) } catch { return }
  form.inert = false
  method.value = found.method
  before = {}
  suit()
  axis.across.value = found.across
  axis.down.value = found.down
  for (const [name, text] of Object.entries(found.values)) typed[key(name)] = text
  if (document.activeElement !== seeds) seeds.value = found.seeds
  for (const field of rest) {
    const value = (field.dataset.own ? found.knobs : found)[field.dataset.field]
    if (mine(field) && value !== undefined && document.activeElement !== field) field.value = value
  }
  suit()
  link()
}
form.addEventListener('input', ({ target: field }) => {
  if (field.dataset.typed) typed[key(axis[field.dataset.typed].value)] = field.value
  if (field === method) {
    before = {}
    for (const role of ['student', 'teacher']) one(`[data-field=${role}]`).value = facts[method.value][role]
  }
  if (field.dataset.low) {
    const number = Number(field.value.replace(',', '.'))
    const fits = field.value.trim() && number >= +field.dataset.low && number <= +field.dataset.high
    field.setAttribute('aria-invalid', !fits)
  }
  suit()
  send()
})
form.inert = true // what is turned before the page knows its visitor would be lost
watch('value', fill)
fill()
// ---
// The map by keyboard: one stop for Tab, arrows from cell to cell, Enter or Space to press.
const cells = () => [...element.querySelectorAll('[data-cell]')]
element.addEventListener('keydown', (event) => {
  const cell = event.target.closest('[data-cell]')
  if (!cell) return
  const [row, column] = cell.dataset.cell.split(',').map(Number)
  const way = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key]
  if (way) {
    const name = `${row + way[0]},${column + way[1]}`
    const next = cells().find((other) => other.dataset.cell === name)
    event.preventDefault()
    if (!next) return
    for (const other of cells()) other.setAttribute('tabindex', other === next ? 0 : -1)
    next.focus()
  } else if (event.key === 'Enter' || event.key === ' ') {
    event.preventDefault()
    trigger('click', { ...cell.dataset })
  }
})
// ---
// Reports the widths of map and panel when the window changes.
window.sweep = {
  measure: () => {
    const width = (id) => Math.floor(document.getElementById(id)?.getBoundingClientRect().width || 0)
    const all = ['sweep-middle', 'sweep-side'].map(width)
    return all.every(Boolean) ? all.join(',') : ''
  },
}
let waiting = 0
window.addEventListener('resize', () => {
  clearTimeout(waiting)
  waiting = setTimeout(() => {
    const now = window.sweep.measure()
    if (now && now !== props.value) { props.value = now; trigger('input') }
  }, 200)
})
