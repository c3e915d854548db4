import type { TapResult } from '#terminal'

/** A tap as `kazasu tap --json` prints it. */
export function tapJson(outcome: TapResult): object {
  switch (outcome.result) {
    case 'recognised': {
      const { result, mechanism, basis, pairwiseId, eligibility, institutionToken, evidence, steps } = outcome
      const { returning, certificate } = outcome
      return {
        ...{ result, mechanism, basis, pairwiseId, returning, certificate, eligibility },
        institutionToken,
        evidence,
        steps: rounded(steps),
      }
    }
    case 'refused':
    case 'failed': {
      const { code, cause, remedy } = outcome.problem
      return { result: outcome.result, code, cause, remedy, steps: rounded(outcome.steps) }
    }
    default:
      return outcome
  }
}

/** To the microsecond: what is below is noise. */
const rounded = (steps: readonly { readonly name: string; readonly ms: number }[]) =>
  steps.map(({ name, ms }) => ({ name, ms: Math.round(ms * 1000) / 1000 }))

/** Steps that take as long as people do. */
const HUMAN = ['consent', 'card', 'pin']

/** A tap for people, in both languages. */
export function tapText(outcome: TapResult): string {
  switch (outcome.result) {
    case 'recognised': {
      const { pairwiseId, returning, eligibility, mechanism, evidence, steps, trace } = outcome
      const machine = steps.filter(({ name }) => !HUMAN.includes(name))
      const card = trace.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
      const longest = Math.max(...machine.map(({ ms }) => ms))
      return [
        `✓ カードの提示を確認しました / card presented and checked (${mechanism === 'pin' ? 'PIN' : '機関認証 – no PIN'})`,
        `  個別ID / pairwise ID   ${pairwiseId}`,
        `  受診 / visit           ${returning ? '再来 / returning' : '初めて / first'}`,
        `  資格 / insurance       ${describeEligibility(eligibility)}`,
        `  証跡 / evidence        leaf ${evidence.index}, root ${evidence.root}`,
        '',
        ...machine.map(
          ({ name, ms }) =>
            `  ${name.padEnd(14)} ${ms.toFixed(1).padStart(7)} ms  ${'▇'.repeat(Math.max(1, Math.round((ms / longest) * 40)))}`,
        ),
        `  ${trace.length} APDUs, ${card.toFixed(1)} ms at the card (virtual: a real card takes several hundred)`,
      ].join('\n')
    }
    case 'declined':
      return '– 取りやめました。何も送られていません。 / Stopped; nothing was sent.'
    case 'wrong-pin':
      return `✗ 暗証番号が違います。あと${outcome.triesLeft}回です。 / Wrong PIN, ${outcome.triesLeft} tries left.`
    case 'pin-blocked':
      return '✗ 暗証番号が使えなくなっています。市区町村の窓口で再設定できます。 / The PIN is blocked; the municipality can set a new one.'
    case 'refused':
    case 'failed': {
      const { code, cause, remedy } = outcome.problem
      return [`✗ ${cause.ja} / ${cause.en}`, `  → ${remedy.ja} / ${remedy.en}`, `  (${code})`].join('\n')
    }
  }
}

type Recognised = Extract<TapResult, { result: 'recognised' }>

function describeEligibility(found: Recognised['eligibility']): string {
  switch (found?.status) {
    case 'valid':
      return `有効 / valid  ${found.insurer} ${found.symbol ?? ''}-${found.number} (${found.branch ?? '–'})  ${found.ratio ?? '?'} %`
    case 'invalid':
      return `資格喪失 / ended on ${found.endedOn}`
    case 'none':
      return '資格情報なし / none known'
    case 'unavailable':
      return '照会できません / register not available'
    case undefined:
      return '照会なし / not asked'
  }
}
