// SPDX-License-Identifier: MIT
// The MCP server, driven by the official client, by the inspector's command line, and by hand in the stateless protocol.
import assert from 'node:assert/strict';
import test from 'node:test';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { engine, mcpServer, run } from './support.mjs';

const NAME = 'recording_opt_out';

async function connect(t, served, callId, ...more) {
  const client = new Client({ name: 'test', version: '1' });
  t.after(() => client.close());
  await client.connect(new StdioClientTransport({
    command: mcpServer, args: ['--socket', served.socket, '--call', callId, ...more], stderr: 'inherit',
  }));
  return client;
}

async function speak(served, callId, messages, ...more) {
  const lines = messages.map((m) => (typeof m === 'string' ? m : JSON.stringify(m)) + '\n').join('');
  const done = await run(mcpServer, ['--socket', served.socket, '--call', callId, ...more], { input: lines });
  assert.equal(done.code, 0, done.err);
  return done.out.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

const stateless = (method, params = {}, id = 1, version = '2026-07-28') => ({
  jsonrpc: '2.0', id, method,
  params: {
    ...params,
    _meta: { 'io.modelcontextprotocol/protocolVersion': version, 'io.modelcontextprotocol/clientCapabilities': {} },
  },
});

test('the official client lists and calls the tool', async (t) => {
  const served = await engine(t, 'mine', 'other');
  const client = await connect(t, served, 'mine', '--language', 'de');
  assert.equal(client.getServerVersion().name, 'librecoptout');
  assert.match(client.getInstructions(), /recording_opt_out/);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((t) => t.name), [NAME]);
  assert.equal(tools[0].annotations.destructiveHint, true);
  assert.equal(tools[0].annotations.idempotentHint, true);
  assert.equal(tools[0].annotations.readOnlyHint, false);
  // the client checks structuredContent against the tool's outputSchema
  const result = await client.callTool({ name: NAME, arguments: { call_id: 'other', reason: 'asked' } });
  assert.equal(result.isError, false);
  assert.match(result.structuredContent.sentence, /Aufzeichnung (dieses Gesprächs )?ist beendet/);
  assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
  assert.notEqual(await served.ask('state mine'), 'recording');
  assert.equal(await served.ask('state other'), 'recording');
  // again: the same receipt
  const again = await client.callTool({ name: NAME, arguments: {} });
  assert.equal(again.structuredContent.receipt_id, result.structuredContent.receipt_id);
  await assert.rejects(client.callTool({ name: 'rm', arguments: {} }), (e) => e.code === -32602);
  await assert.rejects(client.listPrompts(), /./);
  await client.ping();
});

test('no tool while opt-out is disabled', async (t) => {
  const served = await engine(t, 'mine');
  const client = await connect(t, served, 'mine');
  await served.ask('enable 0');
  assert.deepEqual((await client.listTools()).tools, []);
  const refused = await client.callTool({ name: NAME, arguments: {} });
  assert.equal(refused.isError, true);
  assert.equal(refused.structuredContent.status, 'not_available');
  await served.ask('enable 1');
  assert.equal((await client.listTools()).tools.length, 1);
});

test('an engine that is away is said so, and found again', async (t) => {
  const served = await engine(t, 'mine');
  const client = await connect(t, served, 'mine-again');
  await served.ask('stop');
  const lost = await client.callTool({ name: NAME, arguments: {} });
  assert.equal(lost.isError, true);
  assert.equal(lost.structuredContent.status, 'error');
  assert.match(lost.structuredContent.sentence, /cannot confirm/);
  await served.ask('restart');
  const found = await client.callTool({ name: NAME, arguments: {} });
  assert.equal(found.isError, false);
  assert.notEqual(await served.ask('state mine-again'), 'recording');
});

test('the inspector', async (t) => {
  const served = await engine(t, 'mine');
  const cli = join(import.meta.dirname, 'node_modules/@modelcontextprotocol/inspector/cli/build/cli.js');
  const inspect = async (...args) => {
    const done = await run(process.execPath,
      [cli, '--cli', mcpServer, '--socket', served.socket, '--call', 'mine', ...args]);
    assert.equal(done.code, 0, done.err + done.out);
    return JSON.parse(done.out);
  };
  const { tools } = await inspect('--method', 'tools/list');
  assert.equal(tools[0].name, NAME);
  const result = await inspect('--method', 'tools/call', '--tool-name', NAME, '--tool-arg', 'reason=asked');
  assert.equal(result.isError, false); // a tool's error would still exit with 0
  assert.ok(result.structuredContent.receipt_id);
  assert.notEqual(await served.ask('state mine'), 'recording');
});

test('the stateless protocol', async (t) => {
  const served = await engine(t, 'mine');
  const [found, listed, refused, called, pinged] = await speak(served, 'mine', [
    stateless('server/discover'), stateless('tools/list', {}, 'two'), stateless('tools/list', {}, 3, '2031-01-01'),
    stateless('tools/call', { name: NAME, arguments: {} }, 4), stateless('nonsense', {}, 5),
  ]);
  assert.deepEqual(found.result.supportedVersions.slice(0, 2), ['2026-07-28', '2025-11-25']);
  assert.equal(found.result.resultType, 'complete');
  assert.ok(found.result.capabilities.tools);
  assert.equal(found.result._meta['io.modelcontextprotocol/serverInfo'].name, 'librecoptout');
  assert.equal(listed.id, 'two');
  assert.equal(listed.result.tools[0].name, NAME);
  assert.equal(listed.result.resultType, 'complete');
  assert.equal(listed.result.cacheScope, 'private');
  assert.equal(typeof listed.result.ttlMs, 'number');
  assert.equal(refused.error.code, -32022);
  assert.ok(refused.error.data.supported.includes('2026-07-28'));
  assert.equal(called.result.resultType, 'complete');
  assert.equal(called.result.isError, false);
  assert.equal(pinged.error.code, -32601);
  assert.notEqual(await served.ask('state mine'), 'recording');
});

test('whatever comes on the line', async (t) => {
  const served = await engine(t, 'a', 'b', 'c', 'd');
  const call = (params, id = 1) => ({ jsonrpc: '2.0', id, method: 'tools/call', params });
  // what is not a message is answered as that, and opts nobody out
  const odd = await speak(served, 'a', ['{', '[]', '7', '{"jsonrpc":"2.0"}', '{"jsonrpc":"2.0","id":1,"result":{}}',
    { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }, call({ name: 'other' }, 9)]);
  assert.deepEqual(odd.map((a) => a.error.code), [-32700, -32600, -32600, -32600, -32602]);
  assert.equal(await served.ask('state a'), 'recording');
  // a call without a name names no tool
  const nameless = ['{}', '[]', '"other"', '{"name":null}', '5', '["other"]', '{"name":["other"]}', `{"arguments":{"name":"${NAME}"}}`];
  const lines = nameless.map((params) => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`);
  const refused = await speak(served, 'b', [...lines, '{"jsonrpc":"2.0","id":1,"method":"tools/call"}']);
  assert.deepEqual(refused.map((a) => a.error.code), Array(nameless.length + 1).fill(-32602));
  assert.equal(await served.ask('state b'), 'recording');
  // ids of any length go back, and one that is none is answered all the same
  for (const id of ['"' + 'x'.repeat(5000) + '"', '1' + '0'.repeat(5000), '"' + 'x'.repeat(900000) + '"'])
    assert.match((await run(mcpServer, ['--socket', served.socket, '--call', 'a'],
      { input: `{"jsonrpc":"2.0","id":${id},"method":"ping"}\n` })).out, new RegExp(`"id":${id.slice(0, 4)}.{4000,},"result"`));
  const strange = await speak(served, 'b', ['{"jsonrpc":"2.0","id":{},"method":"ping"}', '{"jsonrpc":"2.0","id":[1],"method":"ping"}',
    '{"jsonrpc":"2.0","id":true,"method":"ping"}', `{"jsonrpc":"2.0","id":"${'x'.repeat(2 << 20)}","method":"ping"}`]);
  assert.deepEqual(strange.map((a) => [a.id, a.error.code]), Array(4).fill([null, -32600]));
  // huge arguments, a notification, a batch
  await speak(served, 'a', [call({ name: NAME, arguments: { text: 'x'.repeat(1 << 20) } })]);
  assert.notEqual(await served.ask('state a'), 'recording');
  await speak(served, 'b', [call({ name: NAME, arguments: { call_id: 'd' } })]);
  assert.notEqual(await served.ask('state b'), 'recording');
  assert.deepEqual(await speak(served, 'c', [{ jsonrpc: '2.0', method: 'tools/call', params: { name: NAME } }]), []);
  assert.notEqual(await served.ask('state c'), 'recording');
  assert.equal(await served.ask('state d'), 'recording');
  const [batch] = await speak(served, 'd', [[{ jsonrpc: '2.0', id: 1, method: 'ping' }, call({ name: NAME }, 2)]]);
  assert.deepEqual(batch.map((a) => a.id), [1, 2]);
  assert.notEqual(await served.ask('state d'), 'recording');
});

test('what JSON allows, and most of what it does not', async (t) => {
  const arguments_ = ['{"t":"a\\u0000b"}', '{"t":"\\ud800"}', '{"t":1e400}', `{"t":${'9'.repeat(40)}}`, '{"t":NaN}',
    '['.repeat(5000) + ']'.repeat(5000), `{"t":"${'x'.repeat(9 << 20)}"}`];
  const served = await engine(t, 'other', 'cut', 'named', 'event', ...arguments_.map((_, i) => `odd-${i}`), 'bom');
  const line = (args, id, name = NAME) =>
    `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args}}}`;
  const ask = async (callId, text) => {
    const done = await run(mcpServer, ['--socket', served.socket, '--call', callId], { input: text + '\n' });
    assert.equal(done.code, 0, done.err);
    return done.out;
  };
  for (const [i, args] of arguments_.entries()) {
    assert.match(await ask(`odd-${i}`, line(args, 18446744073709551616n)), /"id":18446744073709551616,.*"isError":false/);
    assert.notEqual(await served.ask(`state odd-${i}`), 'recording');
    assert.match(await ask('other', line(args, '"\\u00fc\\"\\\\"', 'book')), /"id":"\\u00fc\\"\\\\","error"/);
  }
  assert.match(await ask('bom', '\ufeff' + line('{}', '1.0')), /"id":1\.0,/);
  assert.notEqual(await served.ask('state bom'), 'recording');
  // cut off: a call as far as it goes
  assert.match(await ask('cut', line('{}', 5).slice(0, -4)), /"id":5,.*"isError":false/);
  assert.notEqual(await served.ask('state cut'), 'recording');
  for (const text of ['junk', 'two words', '1 2', 'nul'])
    assert.match(await ask('event', text), /-32700/);
  assert.match(await ask('named', 'the recording_opt_out tool'), /-32700/); // a sentence calls nothing
  assert.equal(await served.ask('state named'), 'recording');
  assert.match(await ask('named', 'recording_opt_out()'), /-32700/);
  assert.notEqual(await served.ask('state named'), 'recording');
  assert.match(await ask('event', `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"${NAME}`), /-32700/);
  assert.match(await ask('event', `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"other","arguments":{"x":"${NAME}`), /-32602/);
  assert.match(await ask('event', `{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${NAME}`), /-32700/);
  assert.equal(await served.ask('state event'), 'recording');
  assert.equal(await served.ask('state other'), 'recording');
});

test('the command line', async (t) => {
  assert.equal((await run(mcpServer, ['--help'])).code, 0);
  assert.match((await run(mcpServer, ['--version'])).out, /librecoptout 0\./);
  assert.equal((await run(mcpServer, ['--socket', '/x'])).code, 2);
  assert.equal((await run(mcpServer, ['--nonsense'])).code, 2);
});
