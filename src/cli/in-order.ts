/**
 * Results of `load` for 0, 1, … below `count`, in that order, with at most `ahead` of them loading or waiting: memory
 * does not grow with the count.
 */
export async function* inOrder<T>(
  count: number,
  ahead: number,
  load: (at: number) => Promise<T>,
): AsyncGenerator<T> {
  const loading: Promise<T>[] = [];
  const begin = (at: number): void => {
    const one = load(at);
    // Whoever takes it hears of a failure; until then nobody does.
    one.catch(() => undefined);
    loading.push(one);
  };
  for (let at = 0; at < Math.min(count, ahead); at++) begin(at);
  for (let at = 0; at < count; at++) {
    const result = await (loading.shift() as Promise<T>);
    if (at + ahead < count) begin(at + ahead);
    yield result;
  }
}
