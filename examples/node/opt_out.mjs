// SPDX-License-Identifier: MIT
//
// A tool handler in Node, through koffi: the C functions are called as they are.
//
//   npm install koffi
//   RECOPTOUT_LIBRARY=/usr/local/lib/librecoptout.so.1 node opt_out.mjs STATE_DIR OUTPUT_DIR
//
// A call is recorded, the model's message arrives, and what is to be sent back is printed.
import koffi from 'koffi';

const lib = koffi.load(process.env.RECOPTOUT_LIBRARY ?? 'librecoptout.so.1');

koffi.opaque('rco_engine');
koffi.opaque('rco_session');
koffi.opaque('rco_tool_answer');

// Structs are zeroed where a member is left out, and zero means "default" throughout; struct_size says how much we know.
koffi.struct('rco_engine_config', {
  struct_size: 'uint32_t', flags: 'uint32_t', sizes: koffi.array('uint64_t', 4), opt_out_enabled: 'uint32_t',
  numbers: koffi.array('uint32_t', 15), state_dir: 'const char *', output_dir: 'const char *', key_dir: 'const char *',
  ring_dir: 'const char *', rest: koffi.array('uint64_t', 14),
});
koffi.struct('rco_session_options', {
  struct_size: 'uint32_t', flags: 'uint32_t', consent: 'uint32_t', opt_out: 'uint32_t', legal_hold: 'uint32_t',
  reserved0: 'uint32_t', call_id: 'const char *', recorder: 'void *', recorder_user_data: 'void *', reserved1: 'void *',
});
koffi.struct('rco_tool_request', {
  struct_size: 'uint32_t', flags: 'uint32_t', dialect: 'uint32_t', wait_ms: 'uint32_t', session: 'rco_session *',
  call_id: 'const char *', language: 'const char *', company: 'const char *', book: 'void *', json: 'const char *',
  json_bytes: 'size_t', source: 'const char *', reserved: 'void *',
});

const detail = lib.func('const char *rco_error_detail()');
const abiSize = lib.func('uint32_t rco_abi_sizeof(uint32_t id)');
const engineCreate = lib.func('int rco_engine_create(const rco_engine_config *config, _Out_ rco_engine **engine)');
const engineFree = lib.func('void rco_engine_free(rco_engine *engine)');
const sessionCreate = lib.func(
  'int rco_session_create(rco_engine *engine, const rco_session_options *options, _Out_ rco_session **session)');
const addLeg = lib.func(
  'int rco_session_add_leg(rco_session *session, const char *label, uint32_t format, _Out_ uint32_t *leg)');
const start = lib.func('int rco_session_start(rco_session *session)');
const push = lib.func(
  'int rco_session_push(rco_session *session, uint32_t leg, uint32_t format, const uint8_t *data, size_t size)');
const sessionFree = lib.func('void rco_session_free(rco_session *session)');
const toolCall = lib.func(
  'int rco_tool_call(rco_engine *engine, const rco_tool_request *request, _Out_ rco_tool_answer **answer)');
const answerJson = lib.func('const char *rco_tool_answer_json(rco_tool_answer *answer, size_t *len)');
const answerFree = lib.func('void rco_tool_answer_free(rco_tool_answer *answer)');

function check(code) {
  if (code < 0) throw new Error(`${code}: ${detail()}`);
  return code;
}

// The layouts above are compared with the library's, so that a mistake is noticed here and not in a call.
for (const [id, name] of [[1, 'rco_engine_config'], [2, 'rco_session_options'], [26, 'rco_tool_request']])
  if (abiSize(id) < koffi.sizeof(name)) throw new Error(`${name} has another layout in this library`);

function sized(name, values) {
  return { ...koffi.decode(Buffer.alloc(koffi.sizeof(name)), name), struct_size: koffi.sizeof(name), ...values };
}

/** The answer for the platform. Runs on a thread of its own: it waits for the disk, and the event loop does not. */
export function handleToolCall(engine, session, message, language) {
  const json = JSON.stringify(message);
  const request = sized('rco_tool_request', { session, language, json, json_bytes: Buffer.byteLength(json) });
  const out = [null];
  return new Promise((resolve, reject) => {
    toolCall.async(engine, request, out, (error) => {
      if (error || out[0] === null) return reject(error ?? new Error(detail()));
      const answer = answerJson(out[0], null);
      answerFree(out[0]);
      resolve(answer === '' ? null : JSON.parse(answer));
    });
  });
}

const out = [null];
check(engineCreate(sized('rco_engine_config', {
  opt_out_enabled: 1, state_dir: process.argv[2], output_dir: process.argv[3],
}), out));
const engine = out[0];
check(sessionCreate(engine, sized('rco_session_options', { call_id: 'a84b4c76e66710' }), out));
const call = out[0];
const leg = [0];
check(addLeg(call, 'caller', 1, leg));
check(start(call));
check(push(call, leg[0], 1, Buffer.alloc(160, 0xff), 160));

const fromTheModel = {
  role: 'assistant', content: null,
  tool_calls: [{ id: 'call_7', type: 'function', function: { name: 'recording_opt_out', arguments: '{}' } }],
};
console.log(JSON.stringify(await handleToolCall(engine, call, fromTheModel, 'de')));
console.log(push(call, leg[0], 1, Buffer.alloc(160, 0xff), 160)); // -13: RCO_E_OPTED_OUT

sessionFree(call);
engineFree(engine);
