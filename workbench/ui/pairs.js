// A pair of layers is picked with two buttons; the form's own field is where it is written.
const box = () => element.querySelector('[data-pairs]')
const write = (text) => {
  const { method, knob } = box().dataset
  const field = document.querySelector(`#form [data-own="${method}"][data-field="${knob}"]`)
  field.value = text
  field.dispatchEvent(new Event('input', { bubbles: true }))
}
const toggle = (pair) => {
  const now = box().dataset.pairs.split('+').filter(Boolean)
  write((now.includes(pair) ? now.filter((one) => one !== pair) : [...now, pair]).join('+'))
}
element.addEventListener('click', ({ target }) => {
  if (target.closest('[data-default]')) return write('')
  const pressed = target.closest('[data-layer]')
  if (!pressed) return
  const held = element.querySelector('[data-layer][aria-pressed=true]')
  for (const button of element.querySelectorAll('[data-layer]'))
    button.setAttribute('aria-pressed', button === pressed && button !== held)
  if (!held || held === pressed || held.dataset.who === pressed.dataset.who) return
  pressed.setAttribute('aria-pressed', false)
  const [mine, its] = pressed.dataset.who === '1' ? [held, pressed] : [pressed, held]
  toggle(`${mine.dataset.layer}:${its.dataset.layer}`)
})
