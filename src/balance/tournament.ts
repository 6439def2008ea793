/**
 * A tournament tree: the least of n costs at its root, O(log n) for each cost that changes.
 *
 * Owns:    for each of n indexes a cost and, for equal costs, a turn; equal turns go by index. Infinity: not there.
 * @module
 */
export type Tournament = {
  /** All are Infinity afterwards. */
  resize(size: number): void;
  set(index: number, cost: number, turn: number): void;
  /** Sets without telling the root: call `rebuild()` after the last. */
  put(index: number, cost: number, turn: number): void;
  rebuild(): void;
  cost(index: number): number;
  turn(index: number): number;
  /** Index of the least, or -1 if all are Infinity. */
  best(): number;
};

export function createTournament(): Tournament {
  /** Leaves, a power of two. */
  let width = 1;
  let costs = new Float64Array(1).fill(Number.POSITIVE_INFINITY);
  let turns = new Float64Array(1);
  /** Node 1 is the root, the children of node k are 2k and 2k + 1, index i is at the leaf width + i. */
  let winners = new Int32Array(2);

  const play = (node: number): void => {
    const left = winners[2 * node]!;
    const right = winners[2 * node + 1]!;
    const isRight = costs[right]! < costs[left]! || (costs[right]! === costs[left]! && turns[right]! < turns[left]!);
    winners[node] = isRight ? right : left;
  };
  return {
    resize(size) {
      width = 1;
      while (width < size) width *= 2;
      costs = new Float64Array(width).fill(Number.POSITIVE_INFINITY);
      turns = new Float64Array(width);
      winners = new Int32Array(2 * width);
      for (let index = 0; index < width; index++) winners[width + index] = index;
      for (let node = width - 1; node >= 1; node--) play(node);
    },
    set(index, cost, turn) {
      costs[index] = cost;
      turns[index] = turn;
      for (let node = (width + index) >>> 1; node >= 1; node >>>= 1) {
        const before = winners[node]!;
        play(node);
        // Where another one has won, and wins still, nothing changes above.
        if (before !== index && winners[node] === before) break;
      }
    },
    put(index, cost, turn) {
      costs[index] = cost;
      turns[index] = turn;
    },
    rebuild() {
      for (let node = width - 1; node >= 1; node--) play(node);
    },
    cost: (index) => costs[index]!,
    turn: (index) => turns[index]!,
    best() {
      const winner = winners[1]!;
      return costs[winner] === Number.POSITIVE_INFINITY ? -1 : winner;
    },
  };
}
