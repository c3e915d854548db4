import { mkdir, readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { skipLoudly } from './pcscd-rig.ts'
import { createHomes, root, startTown, type TownProcess } from './town-process.ts'

/* The town's page in a browser, as somebody at the reception desk uses it. */

const CHROMIUM = '/usr/bin/chromium'
const PICTURE = join(root, 'docs', 'pictures', 'town.png')
const sandbox = userInfo().uid === 0 ? ['--no-sandbox'] : []

const browser: Browser | undefined = await chromium
  .launch({ executablePath: CHROMIUM, args: [...sandbox, '--disable-dev-shm-usage'] })
  .catch(() => undefined)
if (!browser && process.env.CI === 'true') throw new Error(`${CHROMIUM} does not run`)

describe.skipIf(skipLoudly('screens', browser ? [] : [CHROMIUM]))('the page of the town', () => {
  const homes = createHomes()
  let town: TownProcess
  beforeAll(async () => {
    town = await startTown(await homes.empty())
  })
  afterAll(async () => {
    await browser?.close()
    await town?.stop()
    await homes.clear()
  })

  /** What a failed test left at the terminal is not the next one's. */
  beforeEach(async () => {
    const headers = { authorization: `Bearer ${town.key}` }
    const answer = await fetch(new URL('/api/town', town.town), { headers })
    const { tap } = (await answer.json()) as { tap: { id: string } | null }
    if (tap) await fetch(new URL(`/api/taps/${tap.id}`, town.town), { method: 'DELETE', headers })
  })

  /** The page as a fresh browser shows it, watched: no word to anybody outside, nothing in the console. */
  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    if (!browser) throw new Error('no browser')
    const context = await browser.newContext({ locale: 'ja-JP', viewport: { width: 1280, height: 900 }, ...options })
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    const complaints: string[] = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== town.town) complaints.push(`outside request: ${request.url()}`)
    })
    page.on('websocket', (socket) => {
      if (new URL(socket.url()).host !== new URL(town.town).host) complaints.push(`outside socket: ${socket.url()}`)
    })
    onTestFinished(async () => {
      await context.close()
      expect(complaints).toEqual([])
    })
    await page.goto(`${town.town}/?key=${town.key}`)
    expect(page.url()).toBe(`${town.town}/`)
    await page.getByRole('heading', { level: 3 }).waitFor()
    return page
  }
  const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).click()
  const heading = (page: Page, name: string) => page.getByRole('heading', { level: 3, name }).waitFor()

  async function lay(page: Page, holder: string): Promise<void> {
    const card = page.getByRole('button', { name: holder })
    if ((await card.getAttribute('aria-pressed')) === 'false') await card.click()
    await page.locator('.card[aria-pressed=true]', { hasText: holder }).waitFor()
  }
  const rows = (page: Page) => page.locator('#visits tr')

  async function seriousFindings(page: Page): Promise<readonly string[]> {
    const { violations } = await new AxeBuilder({ page }).analyze()
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
  }

  test('a card is recognised without a PIN, and the clinic’s table gains a row', async () => {
    const page = await open({ colorScheme: 'light' })
    const before = await rows(page).count()
    await lay(page, '風見 花子')
    await press(page, /暗証番号なし/)
    await heading(page, '保険の資格を確認します')
    await press(page, 'OK')
    await heading(page, 'カードの提示を確認しました')
    expect(await page.locator('#screen dl').innerText()).toMatch(/有効\s*（3割負担）/)
    await expect.poll(() => rows(page).count()).toBe(before + 1)
    const id = await page.locator('#screen dt', { hasText: '個別ID' }).locator('+ dd').innerText()
    expect(await rows(page).first().locator('code').getAttribute('title')).toBe(id)
    await page.locator('summary').click()
    expect(await page.locator('.steps').innerText()).toMatch(/機関認証/)
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    expect(await seriousFindings(page)).toEqual([])
    if (process.env.KAZASU_PICTURES === '1') {
      await mkdir(join(PICTURE, '..'), { recursive: true })
      await page.screenshot({ path: PICTURE })
    }
  })

  test('with the PIN: the pad, a wrong one with the tries left, then the right one by keyboard', async () => {
    const page = await open({ colorScheme: 'dark' })
    await lay(page, '凪 そら')
    await press(page, '暗証番号で受付')
    await press(page, 'OK')
    await heading(page, '暗証番号（4けた）を押してください')
    expect(await page.locator('#screen').innerText()).toContain('あと3回')
    expect(await seriousFindings(page)).toEqual([])
    for (const digit of '9998') await press(page, new RegExp(`^${digit}$`))
    await heading(page, '暗証番号が違います')
    expect(await page.locator('#screen').innerText()).toContain('あと2回')
    await press(page, 'もう一度入力する')
    await press(page, 'OK')
    await heading(page, '暗証番号（4けた）を押してください')
    await page.keyboard.type('12')
    await page.keyboard.press('Backspace')
    await page.keyboard.type('234')
    await heading(page, 'カードの提示を確認しました')
    expect(await page.locator('#screen dl').innerText()).toMatch(/暗証番号/)
    expect(await seriousFindings(page)).toEqual([])
  })

  test('in English, by keyboard alone; the card may come after the consent', async () => {
    const page = await open({ locale: 'en-GB', colorScheme: 'light' })
    const lying = page.locator('.card[aria-pressed=true]')
    if (await lying.count()) await lying.click()
    await expect.poll(() => lying.count()).toBe(0)
    await page.getByRole('button', { name: /without a PIN/i }).focus()
    await page.keyboard.press('Enter')
    await heading(page, 'We look up your insurance')
    expect(await page.evaluate('document.activeElement.tagName')).toBe('H3') // Enter held down agrees to nothing
    expect(await seriousFindings(page)).toEqual([])
    await page.keyboard.press('Tab')
    const agreed = page.waitForRequest(/\/consent$/)
    await page.keyboard.press('Enter')
    expect((await agreed).postDataJSON()).toMatchObject({ given: true, lang: 'en', input: 'key' })
    await heading(page, 'Put your card on the reader')
    await lay(page, 'Nowaki Ume')
    await heading(page, 'Card presented and checked')
    expect(await page.locator('#screen').innerText()).toMatch(/within grace/)
    expect(await page.locator('html').getAttribute('lang')).toBe('en')
    await press(page, 'Language')
    await heading(page, 'カードの提示を確認しました')
  })

  test('a refused card shows why and what to do, and leaves no row', async () => {
    const page = await open()
    const before = await rows(page).count()
    await lay(page, '東風 玲')
    await press(page, /暗証番号なし/)
    await press(page, 'OK')
    await page.locator('#screen .code', { hasText: 'certificate-revoked' }).waitFor()
    expect(await page.locator('#screen h3').innerText()).toMatch(/失効/)
    expect(await page.locator('#screen p').first().innerText()).toMatch(/窓口/)
    expect(await rows(page).count()).toBe(before)
    expect(await seriousFindings(page)).toEqual([])
  })

  test('whoever does not agree leaves nothing behind', async () => {
    const page = await open()
    const before = await rows(page).count()
    await lay(page, '風見 花子')
    await press(page, /暗証番号なし/)
    await press(page, 'やめる')
    await heading(page, '受付をやめました')
    expect(await rows(page).count()).toBe(before)
  })

  test('on a narrow screen nothing is cut off', async () => {
    const page = await open({ viewport: { width: 360, height: 740 } })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
  })

  test('shows whoever comes without the key nothing but where to find it', async () => {
    if (!browser) throw new Error('no browser')
    const context = await browser.newContext({ locale: 'ja-JP' })
    onTestFinished(() => context.close())
    const page = await context.newPage()
    await page.goto(town.town)
    await page.locator('#screen .code', { hasText: 'page-locked' }).waitFor()
    expect(await page.locator('#screen p').first().innerText()).toMatch(/\?key=/)
    expect(await page.locator('.card').count()).toBe(0)
  })

  test('answers no program without the key, and gives the cookie for the key alone', async () => {
    const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      fetch(new URL(path, town.town), { method, headers, redirect: 'manual' })
    const port = new URL(town.town).port
    const wrong = [{}, { authorization: 'Bearer wrong' }, { cookie: `kazasu-${port}=wrong` }, { cookie: town.key }]
    for (const headers of wrong) {
      for (const [method, path] of [
        ['GET', '/api/town'],
        ['GET', '/api/events'],
        ['PUT', '/api/reader'],
        ['POST', '/api/taps'],
        ['POST', '/api/taps/x/pin'],
        ['DELETE', '/api/taps/x'],
      ] as const) {
        expect([path, (await ask(path, headers, method)).status]).toEqual([path, 401])
      }
    }
    expect((await ask('/?key=wrong')).status).toBe(401)
    const admitted = await ask(`/?key=${town.key}`)
    expect([admitted.status, admitted.headers.get('location')]).toEqual([303, '/'])
    const cookie = admitted.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/)
    expect((await ask('/api/town', { cookie: cookie.split(';')[0] ?? '' })).status).toBe(200)
    expect((await stat(join(town.home, 'page-key'))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(town.home, 'town.json'), 'utf8')).not.toContain(town.key)
  })

  test('runs no script that is not its own', async () => {
    const { headers } = await fetch(town.town)
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'self'/)
    if (!browser) throw new Error('no browser')
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.goto(town.town)
    const ran = await page.evaluate(`
      document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = "yes"' }))
      window.ran`)
    await context.close()
    expect(ran).toBeUndefined()
  })
})
