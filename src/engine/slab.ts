/**
 * Where records' bytes live: a few large buffers cut into blocks, instead of one heap object a chunk.
 *
 * A slab holds blocks of one size class (eight classes to a doubling, so at most a ninth of a block is unused). A slab
 * whose last block is given back serves any other class, so memory follows the load from shape to shape. This is the
 * allocator of memcached and jemalloc; the garbage collector sees a few hundred buffers where there are millions of
 * records, and a block is copied from buffer to buffer without a view object.
 */

/** Large, since each buffer is a mapping of its own to the system; pages of it that were never written cost nothing. */
export const SLAB_BYTES_MAX = 1024 * 1024;
/** No smaller than two of the largest blocks. */
export const SLAB_BYTES_MIN = 128 * 1024;
const BLOCK_BYTES_MIN = 16;
/** The largest class; a larger block gets a slab of its own, as large as itself. */
const BLOCK_BYTES_MAX = 64 * 1024;
/** Empty slabs that are kept for the next need; further ones go back to the system. */
const SPARE_SLABS_MAX = 8;
/** A block begins at a multiple of 2 to this. */
const BLOCK_SHIFT = 4;
/** So many such places has the largest slab that is cut into blocks; a block that is a slab begins at 0. */
const PLACES_A_SLAB = SLAB_BYTES_MAX >> BLOCK_SHIFT;
const NONE = -1;

/*
 * As long as no array has lost its memory, compiled code does without looking whether one has. The first one that does
 * makes the engine throw away all code over arrays: everything there is to an insert, which had to be compiled anew a
 * second after the start, when the first slab was given back (15 % of the first million records). So one does now.
 */
new Uint8Array(1).buffer.transfer(0);

/** A buffer cut into blocks of one size. Offsets of blocks are in bytes, and multiples of 16. */
export class Slab {
  readonly bytes: Buffer;
  /** The same memory as signed 32-bit integers. */
  readonly words: Int32Array;
  /** The same memory, to copy eight bytes at a time wherever they begin. */
  readonly view: DataView;
  readonly blockBytes: number;
  /** Which of its allocator's slabs it is. */
  readonly number: number;
  /** Where this slab stands in its class' list of slabs with room; -1 when it is full. */
  roomIndex = NONE;

  /** Free blocks are linked through their own first word. */
  #firstFree = NONE;
  #neverUsed = 0;
  #usedBlocks = 0;

  constructor(memory: ArrayBuffer, { blockBytes, number }: { blockBytes: number; number: number }) {
    this.bytes = Buffer.from(memory);
    this.words = new Int32Array(memory);
    this.view = new DataView(memory);
    this.blockBytes = blockBytes;
    this.number = number;
  }

  /** How far it was ever written to: the rest is no memory yet. */
  get touchedBytes(): number {
    return this.#neverUsed;
  }

  /** Whether the next block is one that never was in use. */
  get touchesNext(): boolean {
    return this.#firstFree === NONE;
  }

  get isEmpty(): boolean {
    return this.#usedBlocks === 0;
  }

  get isFull(): boolean {
    return this.#firstFree === NONE && this.#neverUsed + this.blockBytes > this.bytes.length;
  }

  take(): number {
    this.#usedBlocks++;
    if (this.#firstFree !== NONE) {
      const offset = this.#firstFree;
      this.#firstFree = this.words[offset >> 2] as number;
      return offset;
    }
    const offset = this.#neverUsed;
    this.#neverUsed += this.blockBytes;
    return offset;
  }

  giveBack(offset: number): void {
    this.words[offset >> 2] = this.#firstFree;
    this.#firstFree = offset;
    this.#usedBlocks--;
  }
}

/** Hands out blocks. A block is a slab and an offset in it; whoever took it gives it back exactly once. */
export class SlabAllocator {
  /** Bytes of blocks that are in use, with what rounding up to their class adds. */
  usedBytes = 0;
  readonly #slabBytes: number;
  #touchedBytes = 0;
  /** All slabs, by their numbers, and the numbers of those that are gone. */
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  readonly #withRoom: Slab[][] = [];
  /** Memory of slabs that are empty. */
  readonly #spare: ArrayBuffer[] = [];
  /** How many of these nobody has needed since the last `trim`. */
  #unneeded = 0;

  constructor(slabBytes = SLAB_BYTES_MAX) {
    this.#slabBytes = slabBytes;
  }

  /** Bytes of all slabs, in use or spare, as far as they were ever written to: what they take of the machine. */
  get touchedBytes(): number {
    return this.#touchedBytes + this.#spare.length * this.#slabBytes;
  }

  /** A slab with room for a block of at least `bytes`; call `take()` on it at once. */
  slabFor(bytes: number): Slab {
    const blockBytes = blockSize(bytes);
    this.usedBytes += blockBytes;
    if (blockBytes > BLOCK_BYTES_MAX) {
      this.#touchedBytes += blockBytes;
      return this.#create(new ArrayBuffer(blockBytes), blockBytes);
    }
    const sizeClass = classOf(blockBytes);
    this.#withRoom[sizeClass] ??= [];
    const candidates = this.#withRoom[sizeClass];
    for (;;) {
      if (candidates.length === 0) break;
      const last = candidates[candidates.length - 1] as Slab;
      if (!last.isFull) {
        if (last.touchesNext) this.#touchedBytes += blockBytes;
        return last;
      }
      // Its last take() filled it; it leaves the list here, where that costs nothing extra.
      candidates.pop();
      last.roomIndex = NONE;
    }
    const slab = this.#create(this.#spare.pop() ?? new ArrayBuffer(this.#slabBytes), blockBytes);
    this.#unneeded = Math.min(this.#unneeded, this.#spare.length);
    this.#touchedBytes += blockBytes;
    slab.roomIndex = candidates.length;
    candidates.push(slab);
    return slab;
  }

  giveBack(slab: Slab, offset: number): void {
    this.usedBytes -= slab.blockBytes;
    slab.giveBack(offset);
    if (slab.blockBytes > BLOCK_BYTES_MAX) {
      this.#touchedBytes -= slab.touchedBytes;
      this.#forget(slab);
      free(slab.words.buffer as ArrayBuffer);
      return;
    }
    const candidates = this.#withRoom[classOf(slab.blockBytes)] as Slab[];
    if (slab.isEmpty && (candidates.length > 1 || slab.roomIndex === NONE)) this.#retire(slab, candidates);
    else if (slab.roomIndex === NONE) {
      slab.roomIndex = candidates.length;
      candidates.push(slab);
    }
  }

  /**
   * A block in one number, for those who have millions: a slab and an offset would be two properties.
   *
   * By shifts, since a division makes a double even where it leaves no fraction: offsets go around, and code that was
   * compiled for integers is thrown away when it meets one that is a double.
   */
  placeOf(slab: Slab, offset: number): number {
    return slab.number * PLACES_A_SLAB + (offset >> BLOCK_SHIFT);
  }

  /** The slab of a place that `placeOf` gave. */
  slabAt(place: number): Slab {
    return this.#slabs[Math.floor(place / PLACES_A_SLAB)] as Slab;
  }

  /** The offset in it. */
  offsetAt(place: number): number {
    return (place % PLACES_A_SLAB) << BLOCK_SHIFT;
  }

  /** Gives the system what was not needed since the last call; to be called now and then. */
  trim(): void {
    for (const memory of this.#spare.splice(0, this.#unneeded)) free(memory);
    for (const candidates of this.#withRoom) {
      for (const slab of candidates?.filter(({ isEmpty }) => isEmpty) ?? []) this.#retire(slab, candidates);
    }
    this.#unneeded = this.#spare.length;
  }

  #create(memory: ArrayBuffer, blockBytes: number): Slab {
    const number = this.#freeNumbers.pop() ?? this.#slabs.length;
    const slab = new Slab(memory, { blockBytes, number });
    this.#slabs[number] = slab;
    return slab;
  }

  #forget({ number }: Slab): void {
    this.#slabs[number] = undefined;
    this.#freeNumbers.push(number);
  }

  #retire(slab: Slab, candidates: Slab[]): void {
    if (slab.roomIndex !== NONE) {
      const last = candidates.pop() as Slab;
      if (last !== slab) {
        candidates[slab.roomIndex] = last;
        last.roomIndex = slab.roomIndex;
      }
      slab.roomIndex = NONE;
    }
    this.#touchedBytes -= slab.touchedBytes;
    this.#forget(slab);
    const memory = slab.words.buffer as ArrayBuffer;
    if (this.#spare.length < SPARE_SLABS_MAX) this.#spare.push(memory);
    else free(memory);
  }
}

/** Gives memory back at once: a collection of garbage may be long in coming on a server that has nothing to do. */
function free(memory: ArrayBuffer): void {
  memory.transfer(0);
}

/** The size of the smallest block that holds `bytes`. */
export function blockSize(bytes: number): number {
  if (bytes <= BLOCK_BYTES_MIN) return BLOCK_BYTES_MIN;
  if (bytes <= 128) return (bytes + 15) & ~15;
  const step = 1 << (28 - Math.clz32(bytes - 1));
  return (bytes + step - 1) & -step;
}

/** A small number for each block size, below 96. */
function classOf(blockBytes: number): number {
  if (blockBytes <= 128) return blockBytes >> 4;
  const doubling = 31 - Math.clz32(blockBytes - 1);
  return 9 + (doubling - 7) * 8 + ((blockBytes - 1) >> (doubling - 3)) - 8;
}
