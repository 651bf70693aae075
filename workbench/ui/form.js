// The form's value is one line of JSON; sliders, boxes and lists all write into it.
const form = element.querySelector('form')
const fields = [...form.querySelectorAll('[data-field]')]
const dragged = (field) => field.closest('.knob')?.querySelector('input[type=range]')
let timer = 0

const toValue = (range) => {
  const low = +range.dataset.from, high = +range.dataset.to, share = range.value / 1000
  const log = range.dataset.scale === 'log'
  const value = log ? low * (high / low) ** share : low + (high - low) * share
  if (numberOf(range).dataset.kind === 'int') return Math.round(value)
  return +(log ? value.toPrecision(2) : value.toFixed(high - low > 5 ? 1 : 2))
}
const toPlace = (range, value) => {
  const low = +range.dataset.from, high = +range.dataset.to
  const share = range.dataset.scale === 'log'
    ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low)
  return Math.round(1000 * Math.min(1, Math.max(0, share || 0)))
}
const numberOf = (range) => range.closest('.knob').querySelector('[data-field]')

const read = (field) => {
  if (field.tagName === 'FIELDSET')
    return [...field.querySelectorAll(':checked')].map((box) => +box.value)
  return field.value
}
const write = (field, value) => {
  if (field.tagName === 'FIELDSET') {
    for (const box of field.querySelectorAll('input')) box.checked = value.includes(+box.value)
    return
  }
  field.value = Array.isArray(value) ? value.map((pair) => pair.join(':')).join('+') : value
  follow(field)
}
// the slider follows what is typed, and the box says when it cannot be right
const follow = (field) => {
  const number = Number(field.value)
  if (field.dataset.low) {
    const wrong = field.value.trim() === '' || !(number >= +field.dataset.low && number <= +field.dataset.high)
    field.setAttribute('aria-invalid', wrong)
  }
  const range = dragged(field)
  if (!range) return
  if (document.activeElement !== range) range.value = toPlace(range, number)
  range.style.setProperty('--range_progress', range.value / 10 + '%')
  range.setAttribute('aria-valuetext', field.value)
}
// no more labels than images; who keeps all of them keeps all, however many there are
const images = form.querySelector('[data-field=images]')
const labelled = form.querySelector('[data-field=labelled]')
let wanted = Infinity
const want = () => {
  const number = labelled.value.trim() === '' ? NaN : Number(labelled.value)
  if (number >= +images.value) wanted = Infinity
  else if (number >= 0) wanted = number
}
const cap = () => {
  const most = Math.min(+images.dataset.high, Math.floor(+images.value))
  if (!(most >= 1)) return
  labelled.dataset.high = dragged(labelled).dataset.to = most
  labelled.value = Math.min(wanted, most)
  follow(labelled)
}
const only = (method) => {
  for (const block of form.querySelectorAll('[data-method]'))
    block.hidden = !block.dataset.method.split(' ').includes(method)
}
const collect = () => {
  const found = { knobs: {} }, method = form.querySelector('[data-field=method]').value
  for (const field of fields) {
    if (!field.dataset.own) found[field.dataset.field] = read(field)
    else if (field.dataset.own === method) found.knobs[field.dataset.field] = read(field)
  }
  return found
}
const link = (found) => {
  const query = new URLSearchParams({ tab: 'train' })
  for (const [name, value] of Object.entries(found))
    if (name !== 'knobs' && String(value) !== '') query.set(name, value)
  for (const [name, value] of Object.entries(found.knobs)) query.set(name, value)
  form.querySelector('.front').dataset.link = query // which is laid out wherever the form is
}
const send = () => {
  const found = collect()
  props.value = JSON.stringify(found)
  link(found)
  clearTimeout(timer)
  timer = setTimeout(() => trigger('input'), 150)
}
const fill = () => {
  let found
  try { found = JSON.parse(props.value) } catch { return }
  form.inert = false
  for (const field of fields) {
    const own = field.dataset.own
    if (own && own !== found.method) continue
    const value = own ? found.knobs[field.dataset.field] : found[field.dataset.field]
    if (value !== undefined) write(field, value)
  }
  if (document.activeElement !== labelled) { want(); cap() } // what is typed stays
  only(found.method)
  link(collect())
}
form.addEventListener('input', (event) => {
  const field = event.target
  if (field.type === 'range') {
    numberOf(field).value = toValue(field)
    follow(numberOf(field))
  } else if (field.dataset.field === 'method') only(field.value)
  else if (field.dataset.field) follow(field)
  if (field.closest('.knob')?.contains(labelled)) want()
  if (field.closest('.knob')?.contains(images)) cap()
  send()
})
fields.forEach((field) => field.tagName !== 'FIELDSET' && follow(field))
form.inert = true // what is turned before the page knows its visitor would be lost
watch('value', fill)
fill()
