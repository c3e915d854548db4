// The town's page. Plain and true: every line shown comes from the running roles.
import { texts } from './texts.js'

let language = navigator.language.startsWith('en') ? 'en' : 'ja'
let town
let digits = ''
let drawn
const say = (key) => texts[language][key] ?? key
const find = (id) => document.getElementById(id)

/** An element with text or children; nothing is ever put in as HTML. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}
const heading = (className, textContent) => make('h3', { className, textContent, tabIndex: -1 })
function button(text, className, onclick) {
  const element = make('button', { type: 'button', className, onclick, textContent: text })
  element.dataset.key = text
  return element
}

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { 'accept-language': language, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const answer = await response.json()
  if (!response.ok) showProblem(answer)
  return answer
}

const tapPath = (input) => `/api/taps/${town.tap.id}/${input}`
/** How a button was pressed, as the consent record says it. */
const inputOf = ({ pointerType, detail }) => (pointerType === 'touch' ? 'touch' : detail === 0 ? 'key' : 'pointer')
const begin = (mechanism) => call('POST', '/api/taps', { purpose: 'eligibility', mechanism })

function showProblem({ code, cause, remedy }) {
  find('screen').replaceChildren(
    heading('bad', cause?.[language] ?? say('failed')),
    make('p', { textContent: remedy?.[language] ?? '' }),
    make('p', { className: 'code', textContent: code ?? '' }),
    make('div', { className: 'choices' }, button(say('back'), 'second', render)),
  )
}

function drawCards() {
  find('cards').replaceChildren(
    ...town.cards.map((card) => {
      const lies = town.lying === card.name
      const element = make(
        'button',
        {
          type: 'button',
          className: 'card',
          draggable: true,
          onclick: () => call('PUT', '/api/reader', { card: lies ? null : card.name }),
          ondragstart: (event) => event.dataTransfer.setData('text/plain', card.name),
        },
        make('strong', { textContent: card.holder[language] }),
        make('span', { textContent: card.about[language] }),
      )
      element.setAttribute('aria-pressed', String(lies))
      element.dataset.lying = say('lying')
      element.dataset.key = card.name
      return make('li', {}, element)
    }),
  )
}

function drawVisits() {
  find('visits').replaceChildren(
    ...town.visits.map((visit) =>
      make(
        'tr',
        {},
        make('td', { textContent: visit.at }),
        make('td', {}, make('code', { textContent: `${visit.pairwiseId.slice(0, 13)}…`, title: visit.pairwiseId })),
        make('td', { textContent: say(visit.returning ? 'returning' : 'first') }),
        make('td', { textContent: say(`eligibility-${visit.eligibility}`) }),
        make('td', { textContent: `#${visit.evidence}` }),
      ),
    ),
  )
}

function press(digit) {
  digits = digit === '⌫' ? digits.slice(0, -1) : digits + digit
  if (digits.length < 4) return render()
  const pin = digits
  digits = ''
  return call('POST', tapPath('pin'), { pin })
}

const screens = {
  idle: () => [
    heading('', say('welcome')),
    make('p', { textContent: say('welcomeText') }),
    make(
      'div',
      { className: 'choices' },
      button(say('startPinless'), 'primary', () => begin('institution')),
      button(say('startPin'), 'second', () => begin('pin')),
    ),
  ],
  consent: ({ offer }) => [
    heading('', say(`title-${offer.purpose}`)),
    make('p', { textContent: say(`text-${offer.textId}`) }),
    make(
      'div',
      { className: 'choices' },
      button(say('ok'), 'primary', (event) =>
        call('POST', tapPath('consent'), { given: true, kind: 'ok-button', lang: language, input: inputOf(event) }),
      ),
      button(say('decline'), 'second', () => call('POST', tapPath('consent'), { given: false })),
    ),
  ],
  card: () => [
    heading('', say('hold')),
    make('p', { textContent: say('holdText') }),
    make(
      'div',
      { className: 'choices' },
      button(say('decline'), 'second', () => call('DELETE', `/api/taps/${town.tap.id}`)),
    ),
  ],
  pin: ({ triesLeft }) => {
    const keys = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '', '0', '⌫']
    return [
      heading('', say('pinTitle')),
      make('p', {
        className: triesLeft === 1 ? 'bad' : '',
        textContent: say(triesLeft === 1 ? 'lastTry' : 'triesLeft').replace('{n}', triesLeft),
      }),
      make('p', { className: 'dots', textContent: '●'.repeat(digits.length) + '○'.repeat(4 - digits.length) }),
      make('div', { className: 'pad' }, ...keys.map((key) => (key ? button(key, '', () => press(key)) : make('span')))),
      make(
        'div',
        { className: 'choices' },
        button(say('decline'), 'second', () => call('POST', tapPath('pin'), { pin: null })),
      ),
    ]
  },
  working: ({ steps }) => [heading('', say('working')), make('p', { textContent: say('keep') }), drawSteps(steps)],
  ended: ({ outcome }) => [...endings[outcome.result](outcome), again(outcome), drawRecord(outcome)],
}

function again({ result }) {
  const [pinless, pin] = [() => begin('institution'), () => begin('pin')]
  const choices =
    result === 'wrong-pin'
      ? [button(say('retry'), 'primary', pin), button(say('startPinless'), 'second', pinless)]
      : [button(say('startPinless'), 'primary', pinless), button(say('startPin'), 'second', pin)]
  return make('div', { className: 'choices' }, ...choices)
}

const endings = {
  recognised: (outcome) => [
    heading('good', `✓ ${say('recognised')}`),
    make('p', { textContent: say(outcome.returning ? 'welcomeBack' : 'newHere') }),
    make(
      'dl',
      {},
      ...insuranceRows(outcome.eligibility),
      ...row('id', outcome.pairwiseId),
      ...row('how', say(`mechanism-${outcome.mechanism}`)),
      ...(outcome.certificate === 'current' ? [] : row('certificate', say(`certificate-${outcome.certificate}`))),
      ...row('log', `#${outcome.evidence.index}`),
    ),
    make('p', { textContent: say('takeCard') }),
  ],
  declined: () => [heading('', say('declined')), make('p', { textContent: say('declinedText') })],
  'wrong-pin': ({ triesLeft }) => [
    heading('bad', say('wrongPin')),
    make('p', { textContent: say(triesLeft === 1 ? 'lastTry' : 'triesLeft').replace('{n}', triesLeft) }),
  ],
  'pin-blocked': () => [heading('bad', say('blocked')), make('p', { textContent: say('blockedText') })],
  refused: ({ problem }) => refusal(problem),
  failed: ({ problem }) => refusal(problem),
}

const refusal = ({ code, cause, remedy }) => [
  heading('bad', cause[language]),
  make('p', { textContent: remedy[language] }),
  make('p', { className: 'code', textContent: code }),
]
const row = (name, value) => [make('dt', { textContent: say(name) }), make('dd', { textContent: value })]

/** What the insurer is asked for: whether, how much, and the numbers that go on the receipt. */
function insuranceRows(found) {
  const status = say(`eligibility-${found?.status ?? 'not-asked'}`)
  if (found?.status === 'invalid') return row('insurance', `${status} (${found.endedOn})`)
  if (found?.status !== 'valid') return row('insurance', status)
  const share =
    found.ratio === null ? '' : say('share').replace('{n}', language === 'ja' ? found.ratio / 10 : found.ratio)
  const number = [found.symbol, found.number].filter(Boolean).join('・')
  return [
    ...row('insurance', `${status} ${share}`),
    ...row('insurer', found.insurer),
    ...row('number', `${number}${found.branch === null ? '' : ` (${say('branch')} ${found.branch})`}`),
  ]
}

function drawSteps(steps) {
  const longest = Math.max(1, ...steps.map(({ ms }) => ms))
  return make(
    'div',
    { className: 'steps' },
    ...steps.map(({ name, ms }) => {
      const bar = make('i')
      bar.style.width = `${(ms / longest) * 100}%`
      return make(
        'div',
        {},
        make('span', { textContent: say(`step-${name}`) }),
        bar,
        make('b', { textContent: `${ms.toFixed(1)} ms` }),
      )
    }),
  )
}

/** What happened: steps with their times, and the exchanges with the card as they were traced, masked. */
function drawRecord({ steps = [], trace = [] }) {
  if (steps.length === 0) return make('div')
  return make(
    'details',
    { open: Boolean(document.querySelector('details[open]')) },
    make('summary', { textContent: say('what') }),
    drawSteps(steps.filter(({ name }) => !['consent', 'card', 'pin'].includes(name))),
    make(
      'div',
      { className: 'apdu' },
      ...trace.flatMap(({ command, response }) => [`→ ${command}`, make('br'), `← ${response}`, make('br')]),
    ),
  )
}

function render() {
  if (!town) return
  document.documentElement.lang = language
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = say(element.dataset.text)
  find('language').textContent = language === 'ja' ? 'English' : '日本語'
  find('desk-title').textContent =
    `${town.clinic[language]} – ${say('desk')} (${say(`transport-${town.transport}`)}${town.terminal.state === 'active' ? '' : `, ${say(`state-${town.terminal.state}`)}`})`
  const focused = document.activeElement?.dataset.key
  drawCards()
  drawVisits()
  const stage = town.tap?.stage ?? 'idle'
  if (stage !== 'pin') digits = ''
  find('screen').replaceChildren(...screens[stage](town.tap))
  keepFocus(focused, `${town.tap?.id} ${stage}`)
}

/** Buttons are drawn anew: the same one stays in focus, and on a new screen its heading, so that Enter held down agrees to nothing. */
function keepFocus(key, screen) {
  const kept = key && document.querySelector(`[data-key="${CSS.escape(key)}"]`)
  if (kept) kept.focus()
  else if (drawn !== undefined && drawn !== screen) find('screen').querySelector('h3').focus()
  drawn = screen
}

function listen() {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/events`)
  socket.onmessage = ({ data }) => {
    town = JSON.parse(data)
    render()
  }
  socket.onclose = async () => {
    const locked = await fetch('/api/town').then(
      (answer) => answer.status === 401 && answer.json(),
      () => false,
    )
    if (locked) return showProblem(locked)
    showProblem({
      cause: { ja: texts.ja.gone, en: texts.en.gone },
      remedy: { ja: texts.ja.goneText, en: texts.en.goneText },
    })
    setTimeout(listen, 1000)
  }
}

find('language').onclick = () => {
  language = language === 'ja' ? 'en' : 'ja'
  render()
}
document.onkeydown = ({ key, repeat }) => {
  if (town?.tap?.stage !== 'pin' || repeat) return
  if (/^\d$/.test(key)) void press(key)
  else if (key === 'Backspace') void press('⌫')
}
const desk = document.querySelector('.desk')
desk.ondragover = (event) => event.preventDefault()
desk.ondrop = (event) => {
  event.preventDefault()
  void call('PUT', '/api/reader', { card: event.dataTransfer.getData('text/plain') })
}
listen()
