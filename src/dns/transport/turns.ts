/**
 * The loop of a thread that answers by the batch and blocks while nobody asks: between batches the thread's messages get
 * their turn, so it takes new worlds and can be stopped.
 * @module
 */

/** Batches until the event loop gets its turn while queries never cease: some 10 ms. */
const BATCHES_PER_TURN = 32;
/**
 * How long the thread waits for a query before it looks after its messages. Longer is idler; stopping, and taking over
 * what changed, may take this long.
 */
export const WAIT_MS = 50;
/** Batches that closing may take to answer what is queued: more than the queue holds; a flood must not keep it open. */
const DRAIN_BATCHES = 256;

/**
 * @param answerBatch answers what has come in. @param canWait whether it may block for `WAIT_MS` while nothing has.
 *   @returns 0: nothing had. What it throws ends the thread.
 * @returns ends the loop, and answers what is queued still
 */
export function answerInTurns(answerBatch: (canWait: boolean) => number): { stop(): void } {
  let isStopping = false;
  let turn = setImmediate(function run() {
    for (let batch = 0; batch < BATCHES_PER_TURN && answerBatch(true) > 0; batch++);
    if (!isStopping) turn = setImmediate(run);
  });
  return {
    stop() {
      isStopping = true;
      clearImmediate(turn);
      for (let batch = 0; batch < DRAIN_BATCHES && answerBatch(false) > 0; batch++);
    },
  };
}
