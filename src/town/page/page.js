// The town's page. Plain and true: every line shown comes from the running roles.
import { texts } from './texts.js'

let language = navigator.language.startsWith('en') ? 'en' : 'ja'
let town
let digits = ''
const say = (key) => texts[language][key] ?? key
const find = (id) => document.getElementById(id)

/** An element with text or children; nothing is ever put in as HTML. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}
const button = (text, className, onclick) => make('button', { type: 'button', className, onclick, textContent: text })

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
const begin = (mechanism) => call('POST', '/api/taps', { purpose: 'eligibility', mechanism })

function showProblem({ code, cause, remedy }) {
  find('screen').replaceChildren(
    make('h3', { className: 'bad', textContent: cause?.[language] ?? say('failed') }),
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

const screens = {
  idle: () => [
    make('h3', { textContent: say('welcome') }),
    make('p', { textContent: say('welcomeText') }),
    make(
      'div',
      { className: 'choices' },
      button(say('startPinless'), 'primary', () => begin('institution')),
      button(say('startPin'), 'second', () => begin('pin')),
    ),
  ],
  consent: ({ offer }) => [
    make('h3', { textContent: say('consentTitle') }),
    make('p', { textContent: say(`text-${offer.textId}`) }),
    make(
      'div',
      { className: 'choices' },
      button(say('ok'), 'primary', () =>
        call('POST', tapPath('consent'), { given: true, kind: 'ok-button', lang: language, input: 'pointer' }),
      ),
      button(say('decline'), 'second', () => call('POST', tapPath('consent'), { given: false })),
    ),
  ],
  card: () => [
    make('h3', { textContent: say('hold') }),
    make('p', { textContent: say('holdText') }),
    make(
      'div',
      { className: 'choices' },
      button(say('decline'), 'second', () => call('DELETE', `/api/taps/${town.tap.id}`)),
    ),
  ],
  pin: ({ triesLeft }) => {
    const press = (digit) => {
      digits = digit === '⌫' ? digits.slice(0, -1) : (digits + digit).slice(0, 4)
      if (digits.length < 4) return render()
      const pin = digits
      digits = ''
      return call('POST', tapPath('pin'), { pin })
    }
    const keys = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '', '0', '⌫']
    return [
      make('h3', { textContent: say('pinTitle') }),
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
  working: ({ steps }) => [
    make('h3', { textContent: say('working') }),
    make('p', { textContent: say('keep') }),
    drawSteps(steps),
  ],
  ended: ({ outcome }) => [...endings[outcome.result](outcome), drawRecord(outcome), again()],
}

const again = () =>
  make(
    'div',
    { className: 'choices' },
    button(say('next'), 'primary', () => begin('institution')),
    button(say('startPin'), 'second', () => begin('pin')),
  )

const endings = {
  recognised: (outcome) => [
    make('h3', { className: 'good', textContent: `✓ ${say('recognised')}` }),
    make('p', { textContent: say(outcome.returning ? 'welcomeBack' : 'newHere') }),
    make(
      'dl',
      {},
      ...row('insurance', eligibilityText(outcome.eligibility)),
      ...row('id', outcome.pairwiseId),
      ...row('how', say(`mechanism-${outcome.mechanism}`)),
      ...(outcome.certificate === 'current' ? [] : row('certificate', say(`certificate-${outcome.certificate}`))),
      ...row('log', `#${outcome.evidence.index}`),
    ),
    make('p', { textContent: say('takeCard') }),
  ],
  declined: () => [make('h3', { textContent: say('declined') }), make('p', { textContent: say('declinedText') })],
  'wrong-pin': ({ triesLeft }) => [
    make('h3', { className: 'bad', textContent: say('wrongPin') }),
    make('p', { textContent: say(triesLeft === 1 ? 'lastTry' : 'triesLeft').replace('{n}', triesLeft) }),
  ],
  'pin-blocked': () => [
    make('h3', { className: 'bad', textContent: say('blocked') }),
    make('p', { textContent: say('blockedText') }),
  ],
  refused: ({ problem }) => refusal(problem),
  failed: ({ problem }) => refusal(problem),
}

const refusal = ({ code, cause, remedy }) => [
  make('h3', { className: 'bad', textContent: cause[language] }),
  make('p', { textContent: remedy[language] }),
  make('p', { className: 'code', textContent: code }),
]
const row = (name, value) => [make('dt', { textContent: say(name) }), make('dd', { textContent: value })]

function eligibilityText(found) {
  if (!found) return say('eligibility-not-asked')
  if (found.status !== 'valid') return say(`eligibility-${found.status}`)
  const ratio =
    found.ratio === null ? '' : language === 'ja' ? ` ${found.ratio / 10}割負担` : ` – pays ${found.ratio} %`
  return `${say('eligibility-valid')}${ratio} (${found.insurer} / ${found.symbol ?? '–'} / ${found.number} / ${found.branch ?? '–'})`
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
  drawCards()
  drawVisits()
  const stage = town.tap?.stage ?? 'idle'
  if (stage !== 'pin') digits = ''
  find('screen').replaceChildren(...screens[stage](town.tap))
}

function listen() {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/events`)
  socket.onmessage = ({ data }) => {
    town = JSON.parse(data)
    render()
  }
  socket.onclose = () => {
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
const desk = document.querySelector('.desk')
desk.ondragover = (event) => event.preventDefault()
desk.ondrop = (event) => {
  event.preventDefault()
  void call('PUT', '/api/reader', { card: event.dataTransfer.getData('text/plain') })
}
listen()
