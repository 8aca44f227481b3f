/** The text of a response, piece by piece as it comes. */
export async function* textOf(response: Response): AsyncGenerator<string, void, undefined> {
  if (response.body === null) return;
  const pieces: AsyncIterable<string> = response.body.pipeThrough(new TextDecoderStream());
  yield* pieces;
}
