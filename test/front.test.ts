import { afterAll, beforeAll, expect, test } from 'vitest'
import { HttpError } from '#http'
import { logOrigin } from '../src/provider/log.ts'
import { createFront } from '../src/terminal/front.ts'
import { verifyAnswer } from '../src/terminal/receipt.ts'
import { tap } from '../src/terminal/tap.ts'
import type { TapView } from '../src/terminal/tap-view.ts'
import { createTapRig, createTestCard, powerCard, type TapRig, willingHolder } from './tap-rig.ts'

let rig: TapRig
beforeAll(async () => {
  rig = await createTapRig()
})
afterAll(() => rig.close())

const keys = () => ({
  token: rig.provider.keys.token.publicKey,
  log: rig.provider.keys.log.publicKey,
  logOrigin: logOrigin(rig.provider.id),
})

test('an answer that comes late is a tap of its own: the next holder never sees it as theirs', async () => {
  const { terminal, reader, link, offer } = rig.clinic
  const front = createFront(terminal, [offer('institution')], keys())
  const views: TapView[] = []
  front.watch((view) => {
    views.push(view)
    if (view.stage === 'consent') {
      queueMicrotask(() => front.consent(view.id, { kind: 'ok-button', lang: 'ja', input: 'touch' }))
    }
  })
  const pay = async (): Promise<TapView> => {
    const { id } = front.begin({ purpose: 'eligibility', mechanism: 'institution' })
    return new Promise((resolve) => {
      front.watch((view) => {
        if (view.id === id && view.stage === 'ended') resolve(view)
      })
    })
  }
  const idOf = (view: TapView | undefined) =>
    view?.stage === 'ended' && view.outcome.result === 'recognised' ? view.outcome.pairwiseId : undefined

  reader.insert(powerCard(rig.card.personalisation))
  link.after = () => {
    throw new HttpError('timed-out')
  }
  expect(await pay()).toMatchObject({ outcome: { result: 'failed', problem: { code: 'provider-unreachable' } } })
  link.after = (answer) => answer
  await reader.remove()
  reader.insert((await createTestCard(rig.authority)).device)
  const second = await pay()

  const own = views.filter(({ id }) => id === second.id)
  expect(own.filter(({ stage }) => stage === 'ended').length).toBe(1)
  expect(own[0]?.stage).toBe('consent')
  const late = views.filter((view) => idOf(view) !== undefined && view.id !== second.id)
  expect(late.length).toBe(1)
  expect(idOf(late[0])).not.toBe(idOf(second))
  await front.close()
  await reader.remove()
})

test('an answer about another terminal, purpose or mechanism is not believed', async () => {
  const { terminal, reader, offer } = rig.clinic
  reader.insert(powerCard(rig.card.personalisation))
  const outcome = await tap(terminal, willingHolder(), offer('institution'))
  if (outcome.result !== 'recognised') throw new Error(outcome.result)
  const expected = {
    ...{ institution: terminal.institution, terminal: terminal.id },
    ...{ purpose: 'eligibility', mechanism: 'institution' as const },
  }
  expect((await verifyAnswer(outcome.answer, expected, keys())).claims.terminal).toBe(terminal.id)
  for (const other of [
    { institution: 'clinic-ume' },
    { terminal: 't2' },
    { purpose: 'visit' },
    { mechanism: 'pin' as const },
  ]) {
    await expect(verifyAnswer(outcome.answer, { ...expected, ...other }, keys())).rejects.toMatchObject({
      code: 'answer-foreign',
    })
  }
  const leaf = `${outcome.answer.evidence.leaf[0] === 'A' ? 'B' : 'A'}${outcome.answer.evidence.leaf.slice(1)}`
  const elsewhere = { ...outcome.answer, evidence: { ...outcome.answer.evidence, leaf } }
  await expect(verifyAnswer(elsewhere, expected, keys())).rejects.toMatchObject({ code: 'inclusion-invalid' })
})
