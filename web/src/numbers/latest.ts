// One question at a time, the latest wins: what comes while one is asked waits, and replaces what waited before.

export class Latest<Q, A> {
  private busy = false;
  private waiting: { question: Q } | null = null;

  constructor(private readonly ask: (question: Q) => Promise<A>, private readonly answered: (answer: A, milliseconds: number) => void, private readonly failed: (error: unknown) => void) {}

  put(question: Q): void {
    if (this.busy) this.waiting = { question };
    else void this.run(question);
  }

  private async run(question: Q): Promise<void> {
    this.busy = true;
    const started = performance.now();
    try {
      this.answered(await this.ask(question), performance.now() - started);
    } catch (error) {
      this.failed(error);
    }
    this.busy = false;
    const next = this.waiting;
    this.waiting = null;
    if (next !== null) void this.run(next.question);
  }
}
