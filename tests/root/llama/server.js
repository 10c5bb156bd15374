// SPDX-License-Identifier: Apache-2.0
//
// The smallest server around llama.cpp: the part of llama-server's HTTP interface that a test
// needs (GET /health, POST /completion), over the Node addon that the npm package
// @node-llama-cpp/linux-x64 carries. Knows nothing of custody.
//
//   node server.js --addon DIR --model FILE --host ADDRESS --port PORT
'use strict';
const http = require('http');
const path = require('path');
const { parseArgs } = require('util');

const options = Object.fromEntries(['addon', 'model', 'host', 'port']
  .map((name) => [name, { type: 'string' }]));
const { values } = parseArgs({ options });
const llama = require(path.join(values.addon, 'llama-addon.node'));
const CONTEXT = 256;
const LOG_WARNINGS = 3;

async function load() {
  llama.setLogger((level, text) => process.stderr.write(text));
  llama.setLoggerLogLevel(LOG_WARNINGS);
  llama.loadBackends(values.addon);
  await llama.init();
  const model = new llama.AddonModel(values.model, { addonExports: llama, useMmap: true });
  if (!await model.init()) throw new Error(`${values.model} cannot be loaded`);
  const context = new llama.AddonContext(model,
    { contextSize: CONTEXT, batchSize: CONTEXT, threads: 2 });
  if (!await context.init()) throw new Error('no context can be made');
  return { model, context };
}

async function complete({ model, context }, { prompt, n_predict: wanted }) {
  const sampler = new llama.AddonSampler(model);
  sampler.applyConfig({ temperature: 0 });
  const made = [];
  let next = Uint32Array.from([model.tokenBos(), ...model.tokenize(prompt, false)]);
  let position = 0;
  try {
    while (made.length < wanted) {
      context.initBatch(next.length);
      const [index] = context.addToBatch(0, position, next, Uint32Array.of(next.length - 1));
      await context.decodeBatch();
      position += next.length;
      const token = await context.sampleToken(index, sampler);
      if (token < 0) break;
      made.push(token);
      next = Uint32Array.of(token);
    }
  } finally {
    context.disposeSequence(0);
    sampler.dispose();
  }
  return { content: model.detokenize(Uint32Array.from(made), true), tokens: made };
}

function answer(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function serve(loaded, request, response) {
  if (request.url === '/health') return answer(response, 200, { status: 'ok' });
  if (request.url !== '/completion') return answer(response, 404, { error: 'not found' });
  let text = '';
  for await (const part of request) text += part;
  return answer(response, 200, await complete(loaded, JSON.parse(text)));
}

load().then((loaded) => {
  let turn = Promise.resolve();     // one request after the other: there is one sequence
  http.createServer((request, response) => {
    turn = turn.then(() => serve(loaded, request, response))
      .catch((error) => answer(response, 500, { error: error.message }));
  }).listen(Number(values.port), values.host, () => process.stderr.write('listening\n'));
}).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
