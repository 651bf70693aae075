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
// the data decide how many images there are, which models can take them, what classes are called
const data = form.querySelector('#f-data'), own = form.querySelector('.data .own')
const file = form.querySelector('#f-file'), said = form.querySelector('.data .said')
let ours = null // what the page was told of the visitor's own data
const facts = () => {
  const { value, selectedOptions: [option] } = data
  return value === 'own' ? ours : option?.dataset.facts && JSON.parse(option.dataset.facts)
}
let suited = ''
const suit = () => {
  own.hidden = data.value !== 'own'
  const now = facts()
  if (!now || suited === JSON.stringify(now)) return
  suited = JSON.stringify(now)
  for (const [role, options] of Object.entries(now.options)) {
    const list = form.querySelector(`[data-field=${role}]`), before = list.value
    list.replaceChildren(...options.map(([value, text]) => new Option(text, value)))
    list.value = options.some(([value]) => value === before) ? before : usual(role, options)
  }
  const range = dragged(images)
  images.dataset.high = range.dataset.to = now.size
  range.dataset.from = now.size > 10 ? 10 : 1
  if (+images.value > now.size) images.value = now.size
  follow(images)
  const boxes = form.querySelector('[data-field=left_out]')
  boxes.closest('.knob').hidden = !now.names.length
  boxes.querySelector('div').replaceChildren(...now.names.map((name, k) => {
    const label = document.createElement('label'), box = document.createElement('input')
    const text = document.createElement('span')
    box.type = 'checkbox'
    box.value = k
    text.textContent = label.title = name
    label.append(box, text)
    return label
  }))
  boxes.classList.toggle('named', now.names.some((name) => name.length > 2))
  for (const [name, note] of Object.entries(now.notes))
    for (const one of form.querySelectorAll(`[data-note=${name}]`)) one.textContent = note
  cap()
}
const usual = (role, options) => {
  const names = options.map(([value]) => value)
  const liked = role === 'student' ? 'mlp-16' : role === 'teacher' ? 'mlp-256-256' : 'none'
  return names.includes(liked) ? liked : names[names.length - 1]
}
const hand = async (sent) => {
  if (!sent) return
  if (sent.size > +file.dataset.most) return void (said.textContent = file.dataset.large)
  said.textContent = file.dataset.sending
  try {
    const { path } = await upload(sent)
    said.textContent = file.dataset.reading
    trigger('upload', { path, name: sent.name })
  } catch { said.textContent = file.dataset.lost }
}
file.addEventListener('change', () => { hand(file.files[0]); file.value = '' })
const drop = own.querySelector('.drop')
for (const kind of ['dragover', 'dragleave', 'drop'])
  drop.addEventListener(kind, (event) => {
    event.preventDefault()
    drop.classList.toggle('over', kind === 'dragover')
    if (kind === 'drop') hand(event.dataTransfer.files[0])
  })
// a method that cannot do with these networks takes its usual ones, and gives them back
let lent = {}
const take = (method) => {
  const block = form.querySelector(`[data-method="${method}"][data-wants]`)
  const wants = JSON.parse(block?.dataset.wants || '{}')
  for (const role of ['student', 'teacher']) {
    const list = form.querySelector(`[data-field=${role}]`), given = lent[role]
    const here = [...list.options].map((option) => option.value)
    if (given && list.value === given.now && !wants[role]) list.value = given.before
    if (!wants[role]) { delete lent[role]; continue }
    if (wants[role].includes(list.value)) continue
    const now = wants[role].find((name) => here.includes(name))
    if (!now) continue
    lent[role] = { before: given?.before ?? list.value, now }
    list.value = now
  }
}
// a weight belongs to its convention: turned to another, the usual one of that takes its place
const convene = (field) => {
  for (const other of fields) {
    if (other.dataset.own !== field.dataset.own || !other.dataset.usual) continue
    const usual = JSON.parse(other.dataset.usual)
    if (!Object.values(usual).includes(+other.value)) continue // somebody's own stays
    write(other, usual[field.value] ?? usual[''])
  }
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
    if (name !== 'knobs' && String(value) !== '' && value !== 'own') query.set(name, value)
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
  if (found.about) {
    ours = found.about.options ? found.about : null
    said.textContent = found.about.said
  }
  if (found.data) data.value = found.data
  suit()
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
  if (field === file) return
  if (field.type === 'range') {
    numberOf(field).value = toValue(field)
    follow(numberOf(field))
  } else if (field.dataset.field === 'method') { take(field.value); only(field.value) }
  else if (field.dataset.field === 'convention') convene(field)
  else if (field === data) suit()
  else if (field.dataset.field) follow(field)
  if (field.closest('.knob')?.contains(labelled)) want()
  if (field.closest('.knob')?.contains(images)) cap()
  send()
})
fields.forEach((field) => field.tagName !== 'FIELDSET' && follow(field))
form.inert = true // what is turned before the page knows its visitor would be lost
watch('value', fill)
fill()
