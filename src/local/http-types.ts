/** A request of which the head was read and the body was not. */
export interface RequestHead {
  readonly method: string;
  /** Absolute; its path is normalised. */
  readonly url: URL;
  /** Lower-case names; repeated headers are joined. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** Answers a request once its body is there; a body that is too large is cut, and one byte over the limit. */
export type BodyHandler = (body: Uint8Array) => Promise<Answer>;

/** Routes a request: the answer where no body is wanted, or who takes the body. */
export type Dispatch = (head: RequestHead) => Answer | BodyHandler;

/** An answer without a body. */
export function emptyAnswer(status: number, headers: Answer['headers'] = []): Answer {
  return { status, headers, body: new Uint8Array() };
}
