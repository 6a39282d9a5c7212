/**
 * The thread of large frames, see frame_thread.ts.
 */
import { Transferred } from "../threads/transferred.ts";
import { callMethod, serveCalls } from "../threads/worker_service.ts";
import { type LargeFrame, readLargeFrame } from "./large_frame.ts";

export class FrameService {
  read(frame: string): Transferred<LargeFrame> {
    const read = readLargeFrame(frame);
    if ("keys" in read) return new Transferred(read, [read.keys.rows.buffer]);
    if (!("batch" in read)) return new Transferred(read, []);
    const { text, columns, names, places } = read.batch;
    return new Transferred(read, [text, columns, names, ...(places === undefined ? [] : [places])]);
  }
}

const service = new FrameService();
serveCalls((method, args) => callMethod(service, method, args));
