/**
 * Every limit of the server, in one place: what may be asked for, and how much may wait.
 *
 * A limit that an operator can change is only the default here; its flag is named beside it.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** The largest frame a client may send, `--max-frame`; beyond it the connection is closed with 1009. */
export const FRAME_BYTES_MAX = 16 * MIB;

/** The largest reply that is sent, `--max-reply`; beyond it the request gets `reply_too_large`. */
export const REPLY_BYTES_MAX = 256 * MIB;

/** A longer frame is read on a thread of its own, in UTF-16 code units: the scan of it would take some milliseconds. */
export const FRAME_LENGTH_AT_ONCE = 1 * MIB;

/** The same of frames that only the schema can read, which takes ten to twenty times longer. */
export const UNUSUAL_FRAME_LENGTH_AT_ONCE = 64 * KIB;

/** What may wait for that thread, in UTF-16 code units; beyond it frames are read at once. */
export const FRAMES_WAITING_LENGTH_MAX = 64 * MIB;

/** The records of one `ins` or `dmrec`, `--max-records`; more than fit in a frame of 16 MiB. */
export const FRAME_RECORDS_MAX = 1_000_000;

/** A record as it is stored, JSON with its time, or a value, `--max-record`: no less than the largest frame there may be. */
export const RECORD_BYTES_MAX = 256 * MIB;

/** The names of collections, documents and keys, in UTF-16 code units; `--max-name` lowers it for new ones. */
export const NAME_LENGTH_MAX = 4096;

/** How many collections there may be, `--max-collections`. */
export const COLLECTIONS_MAX = 1_000_000;

/** How many documents there may be in all collections, `--max-documents`. */
export const DOCUMENTS_MAX = 100_000_000;

/** How many key-values there may be in a collection, `--max-values`. */
export const KEY_VALUES_MAX = 10_000_000;

/** How deep a record's data may be nested where it is sent as JSON, not as text. */
export const DATA_DEPTH_MAX = 512;

/** A client's own label (`name=` in the URL), in UTF-16 code units; a longer one is cut. */
export const CLIENT_NAME_LENGTH_MAX = 256;

/** An API key, in UTF-16 code units. */
export const API_KEY_LENGTH_MAX = 1024;

/** How many API keys there may be. */
export const API_KEYS_MAX = 100_000;

/** How many collections or patterns an API key can be limited to. */
export const API_KEY_COLLECTIONS_MAX = 256;

/** The source of a user's pattern, in UTF-16 code units; `--max-pattern` lowers it. */
export const PATTERN_LENGTH_MAX = 4096;

/** A pattern's compiled form: the instructions of its automaton. Matching costs at most this many steps a character. */
export const PATTERN_INSTRUCTIONS_MAX = 10_000;

/** The same of what its repetitions written out would be, which is found before anything is compiled: 25 ms at most. */
export const PATTERN_EXPANDED_MAX = 50_000;

/** What matching one text may cost, instructions times UTF-16 code units; beyond it the request gets `bad_pattern`. */
export const PATTERN_STEPS_MAX = 20_000_000;

/** What of it is looked at on the main thread before others get their turn: 0.1 to 5 ms. Longer texts go to a thread. */
export const PATTERN_STEPS_AT_ONCE = 50_000;

/** What a pattern's automaton may remember of what it has seen; it is slower beyond, by up to its size. */
export const PATTERN_MEMORY_BYTES_MAX = 256 * KIB;

/** How many Unicode classes, such as \p{L}, a pattern may have: each is hundreds of ranges to put together. */
export const PATTERN_UNICODE_CLASSES_MAX = 100;

/** How many compiled patterns are kept. */
export const PATTERN_CACHE_MAX = 256;

/** How many `where` and `filter` are kept ready for the next query that asks the same. */
export const PREDICATE_CACHE_MAX = 256;

/** How many connections there may be, `--max-connections`. */
export const CONNECTIONS_MAX = 10_000;

/** How many of them with one API key, `--max-connections-per-key`. */
export const CONNECTIONS_PER_KEY_MAX = 10_000;

/** New connections a second from one address, `--max-connection-rate`; ten seconds' worth may come at once. */
export const CONNECTIONS_PER_SECOND_MAX = 1000;

/** Of how many addresses new connections are counted. */
export const CONNECTION_RATE_ADDRESSES_MAX = 10_000;

/** Of how many addresses failed logins are remembered. */
export const FAILED_LOGIN_ADDRESSES_MAX = 10_000;

/** The answer to a failed login is held back for this long at most. */
export const FAILED_LOGIN_DELAY_MS_MAX = 5000;

/** So many answers to failed logins are held back at a time. */
export const FAILED_LOGINS_WAITING_MAX = 1000;

/** An idle connection is pinged, and dropped when nothing was heard of it for this long. */
export const IDLE_TIMEOUT_SECONDS = 120;

/** What all clients together may have been sent and not have read: this share of `--memory-limit`. */
export const UNSENT_SHARE = 0.25;

/** And no less than this. */
export const UNSENT_BYTES_MIN = 256 * MIB;

/** While an answer that takes several turns is put together, so much more is read from its connection, in UTF-16 code units. */
export const HELD_BACK_LENGTH_MAX = 64 * KIB;

/** Replies that wait for a slow reader: beyond this much nothing more is read from that connection. */
export const UNSENT_BYTES_PAUSE = 1 * MIB;

/** Replies of one connection that wait for a commit, `--max-in-flight`: beyond this many nothing more is read from it. */
export const WAITING_REPLIES_MAX = 16_384;

/** The same in bytes, of the requests and of the replies that wait. */
export const WAITING_REPLY_BYTES_MAX = 16 * MIB;

/** Requests that take this long or longer are logged, `--slow-request-ms`. */
export const SLOW_REQUEST_MS = 200;

/** Packed chunks that an insert opens within its turn, 5 ms; where there are more of them, they are opened in portions before. */
export const OPENED_AT_ONCE = 128;

/** A dmrec of more records that takes long is done in portions: others may see a part of it, and a crash may leave one. */
export const REMOVED_AT_ONCE = 128;

/** A chunk is sealed at this many records. */
export const CHUNK_RECORDS_MAX = 256;

/** A chunk is sealed at this much rendered text; a larger record has a chunk of its own. */
export const CHUNK_TEXT_BYTES_MAX = 24 * KIB;

/** Unpacked copies of packed chunks that are kept for the next reader. */
export const UNPACKED_CACHE_BYTES_MAX = 64 * MIB;

/** The text that polls of all latest records are answered with, kept for the next poll. */
export const LATEST_TEXT_BYTES_MAX = 64 * MIB;

/** How long the requests of one turn of the event loop may read and free memory: the rest is left to later turns. */
export const PORTION_MS = 4;

/** A checkpoint hands what has changed to the writer in portions of about this size, one after another. */
export const CHECKPOINT_PORTION_BYTES = 1 * MIB;

/** Of what messages leave behind so much brings about a collection of garbage, or more where that takes long. */
export const GARBAGE_BYTES_MIN = 8 * MIB;
