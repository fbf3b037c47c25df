// Runs the files of files.py in a headless Chromium and compares them with the
// outputs of the Python interpreter. Ends with 1 where one differs.
//
//   node check_browser.mjs FILES [--modules=FOLDER] [--json=FILE]
//                          [--screenshot=FILE] [--perturb=ROW]
//
// FILES is the folder that files.py wrote. Without --modules the packages are
// installed by npm in a temporary folder. --perturb adds 1e-3 (1 to integers)
// to an expected number of a row, so that the check must fail. CHROMIUM names
// the browser (/usr/bin/chromium).

import {execFileSync} from 'node:child_process';
import {createReadStream, mkdtempSync, readFileSync, statSync, writeFileSync}
  from 'node:fs';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {extname, join, normalize, resolve} from 'node:path';
import {parseArgs} from 'node:util';

const PACKAGES = ['@litertjs/core@2.5.3', 'playwright-core'];
const TOLERANCE = 1e-5;
const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.json': 'application/json',
  '.wasm': 'application/wasm',
};

const {values: options, positionals: [folder]} = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(['modules', 'json', 'screenshot', 'perturb'].map(
      (name) => [name, {type: 'string'}])),
});
const files = resolve(folder);

function install() {
  const target = mkdtempSync(join(tmpdir(), 'litertjs-'));
  execFileSync('npm', ['install', '--silent', '--prefix', target, ...PACKAGES],
               {stdio: 'inherit'});
  return join(target, 'node_modules');
}

const modules = resolve(options.modules ?? install());
const {chromium} = createRequire(join(modules, 'x.js'))('playwright-core');

/** The manifest, with one number of one row changed on request. */
function readManifest() {
  const manifest = JSON.parse(readFileSync(join(files, 'manifest.json')));
  if (options.perturb) {
    const entry = manifest.stages[options.perturb] ??
        manifest.files.find((one) => one.name === options.perturb);
    const [packed] = Object.values(entry.outputs);
    const bytes = Buffer.from(packed.data, 'base64');
    if (packed.dtype === 'float32') {
      bytes.writeFloatLE(bytes.readFloatLE(0) + 1e-3, 0);
    } else {
      bytes[0] ^= 1;
    }
    packed.data = bytes.toString('base64');
  }
  return JSON.stringify(manifest);
}

/** URL paths are below /files/, /npm/ or, for the page, /page/node_modules/. */
function locate(path) {
  if (path === '/') return resolve(import.meta.dirname, 'check.html');
  const [, first, ...rest] = path.split('/');
  if (first === 'npm') return join(modules, ...rest);
  if (first !== 'files') return null;
  if (rest[1] === 'node_modules') return join(modules, ...rest.slice(2));
  return join(files, ...rest);
}

function respond(request, response) {
  const path = normalize(decodeURI(new URL(request.url, 'http://x').pathname));
  const headers = {
    'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream'};
  if (path === '/') headers['Content-Type'] = TYPES['.html'];
  if (path === '/files/manifest.json') {
    return response.writeHead(200, headers).end(readManifest());
  }
  const file = locate(path);
  if (!file || !statSync(file, {throwIfNoEntry: false})?.isFile()) {
    return response.writeHead(404).end();
  }
  response.writeHead(200, headers);
  createReadStream(file).pipe(response);
}

/** What is wrong with a row, or "". */
function findProblem(row) {
  if (row.refused) {
    return row.stage === 'done' ? 'runs, although it should be refused' : '';
  }
  if (row.stage !== 'done') return `${row.stage}: ${row.error}`;
  if (!row.noticed) return 'a changed number is not noticed';
  const limit = row.integers ? 0 : TOLERANCE;
  return row.gap <= limit ? '' : `differs by ${row.gap}`;
}

function print(rows) {
  for (const row of rows) {
    const done = row.stage === 'done';
    const text = done ? `difference ${row.gap.toExponential(1)}` :
        `refused at ${row.stage}: ${row.error?.split('\n')[0].slice(0, 70)}`;
    const time = row.js_ms ? `${row.js_ms.toFixed(3)} ms` : '';
    const exits = row.exits ? `exits ${row.exits.map((n) => n ?? 0)}` : '';
    console.log([
      (row.problem ? 'FAILED' : 'ok').padEnd(7), row.name.padEnd(30),
      text.padEnd(22), time, exits, row.problem].join(' ').trimEnd());
  }
}

/** Opens the page of write_web_page, times it and takes a picture. */
async function checkPage(browser, address, right) {
  const page = await browser.newPage({viewport: {width: 900, height: 1000}});
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${address}/files/page/index.html`);
  await page.waitForFunction('window.report?.finished', null, {timeout: 60000});
  if (!await page.evaluate('window.report.error')) {
    await page.click('#time');
    await page.waitForFunction('window.report.milliseconds');
  }
  const found = await page.evaluate('window.report');
  if (options.screenshot) {
    await page.screenshot({path: options.screenshot, fullPage: true});
  }
  await page.close();
  const problem = found.error || errors[0] ||
      (found.gap > 0 ? `differs by ${found.gap}` : '') ||
      (found.right === right ? '' : `${found.right} right, not ${right}`);
  return {name: 'page', stage: 'done', refused: '', gap: found.gap,
          js_ms: found.milliseconds, right: found.right, problem};
}

const server = createServer(respond);
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const address = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
         '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
});
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error.message));
  await page.goto(address);
  await page.waitForFunction('window.report?.finished', null,
                             {timeout: 600000});
  const report = await page.evaluate('window.report');
  await page.close();
  if (report.error) throw new Error(report.error);
  for (const row of report.rows) row.problem = findProblem(row);
  const {right} = JSON.parse(readFileSync(join(files, 'manifest.json')));
  report.rows.push(await checkPage(browser, address, right));
  print(report.rows);
  report.chromium = browser.version();
  report.node = process.version;
  report.litertjs = JSON.parse(readFileSync(
      join(modules, '@litertjs/core/package.json'))).version;
  if (options.json) writeFileSync(options.json, JSON.stringify(report));
  process.exitCode = report.rows.some((row) => row.problem) ? 1 : 0;
} finally {
  await browser.close();
  server.close();
}
