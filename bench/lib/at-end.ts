/**
 * What must be undone however a benchmark ends: done, failed, Ctrl-C, or ended from outside.
 * @module
 */

const undoes: (() => void)[] = [];

/**
 * Has `undo` called when this process ends, the last one first. It must not wait.
 * @returns forgets it, once it is undone
 */
export function atEnd(undo: () => void): () => void {
  if (undoes.length === 0 && process.listenerCount("exit", undoAll) === 0) {
    process.on("exit", undoAll);
    process.on("SIGINT", () => process.exit(130));
    process.on("SIGTERM", () => process.exit(143));
  }
  undoes.push(undo);
  return () => {
    const index = undoes.indexOf(undo);
    if (index >= 0) undoes.splice(index, 1);
  };
}

function undoAll(): void {
  for (let undo = undoes.pop(); undo; undo = undoes.pop()) undo();
}
