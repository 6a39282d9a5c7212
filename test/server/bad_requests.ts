/**
 * What is refused, and the text of the refusal: requests that can't be used, and frames that are no messages.
 */

export const refused = (error: string, code = "bad_request"): string =>
  JSON.stringify({ id: "1", error, code });
export const TS = "expected a 64-bit integer";
const NAME = "expected a non-empty string";
export const record = (fields: object): object[] => [{ ts: 1, doc: "d", data: "", col: "c", ...fields }];

export const BAD_REQUESTS: [type: string, data: unknown, error: string][] = [
  ["ins", {}, "ins: expected an array of records, got an object"],
  ["ins", null, "ins: expected an array of records, got null"],
  ["ins", [5], "ins[0]: expected an object, got 5"],
  ["ins", record({ ts: "abc" }), `ins[0].ts: ${TS}, got "abc"`],
  ["ins", record({ ts: undefined }), `ins[0].ts: ${TS}, got nothing`],
  ["ins", record({ ts: null }), `ins[0].ts: ${TS}, got null`],
  ["ins", record({ ts: "9223372036854775808" }), `ins[0].ts: ${TS}, got "9223372036854775808"`],
  ["ins", record({ doc: "" }), `ins[0].doc: ${NAME}, got ""`],
  ["ins", record({ doc: 7 }), "ins[0].doc: expected a string, got 7"],
  ["ins", record({ col: "" }), `ins[0].col: ${NAME}, got ""`],
  ["ins", record({ col: null }), "ins[0].col: expected a string, got null"],
  ["ins", record({ data: undefined }), "ins[0].data: expected a string or a JSON value, got nothing"],
  ["ins", [...record({}), ...record({ ts: "x" })], `ins[1].ts: ${TS}, got "x"`],
  ["qry", { ts: 1 }, "qry.col: expected a string, got nothing"],
  ["qry", { col: "c" }, `qry.ts: ${TS}, got nothing`],
  ["qry", { col: "c", ts: "x" }, `qry.ts: ${TS}, got "x"`],
  ["qry", { col: "c", ts: 1, from: "x" }, `qry.from: ${TS}, got "x"`],
  ["qry", { col: "c", ts: 1, where: 5 }, "qry.where: expected a string, got 5"],
  ["qdoc", { col: "c", doc: "d", from: 2, to: 1 }, "qdoc.from: expected at most `to`, got 2"],
  ["qdoc", { col: "c", doc: "d", limit: 1.5 }, "qdoc.limit: expected an integer, got 1.5"],
  ["qdoc", { col: "c", doc: "d", reverse: 1 }, "qdoc.reverse: expected true or false, got 1"],
  ["ddoc", {}, "ddoc.doc: expected a string, got nothing"],
  ["ddoc", { doc: "" }, `ddoc.doc: ${NAME}, got ""`],
  ["dcol", { col: "" }, `dcol.col: ${NAME}, got ""`],
  ["drec", { doc: "d", col: "c" }, `drec.ts: ${TS}, got nothing`],
  ["dmrec", [{ doc: "d", col: "c", ts: "x" }], `dmrec[0].ts: ${TS}, got "x"`],
  ["dmrec", {}, "dmrec: expected an array of records' keys, got an object"],
  ["drrng", { doc: "d", col: "c", fromTs: 2, toTs: 1 }, "drrng.fromTs: expected at most `toTs`, got 2"],
  ["sval", { col: "c", key: "k", value: 5 }, "sval.value: expected a string, got 5"],
  ["sval", { col: "c", key: "k" }, "sval.value: expected a string, got nothing"],
  ["sval", { col: "", key: "k", value: "" }, `sval.col: ${NAME}, got ""`],
  ["gval", { col: "c" }, "gval.key: expected a string, got nothing"],
  ["keys", [], "keys: expected an object, got []"],
];

/** What closes the connection. */
export const BAD_FRAMES: [frame: string, error: string][] = [
  ["", "frame: expected JSON"],
  ["{", "frame: expected JSON"],
  ['{"id":"1","type":"ins","data":"[]"}x', "frame: expected JSON"],
  ["null", 'frame: expected an object {"id","type","data"}'],
  ["[]", 'frame: expected an object {"id","type","data"}'],
  ["12345678901234567890", 'frame: expected an object {"id","type","data"}'],
  ['"ins"', 'frame: expected an object {"id","type","data"}'],
  ["{}", "id: expected a non-empty string"],
  ['{"id":"","type":"ins","data":"[]"}', "id: expected a non-empty string"],
  ['{"id":1,"type":"ins","data":"[]"}', "id: expected a non-empty string"],
  ['{"id":null,"type":"cols"}', "id: expected a non-empty string"],
];
