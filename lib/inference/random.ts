/**
 * The sampler's random numbers: xoshiro128** (Blackman and Vigna, 2018), its state filled from a 32-bit seed by splitmix32.
 * The same seed gives the same sequence on every machine.
 */
export class Random {
  private readonly state = new Uint32Array(4);

  constructor(seed: number) {
    let counter = seed >>> 0;
    for (let index = 0; index < 4; index++) {
      counter = (counter + 0x9e3779b9) >>> 0;
      let mixed = counter;
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      this.state[index] = mixed ^ (mixed >>> 15);
    }
  }

  /** A number in [0, 1) with 53 random bits. */
  next(): number {
    const high = this.bits() >>> 5;
    const low = this.bits() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  private bits(): number {
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = this.state;
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
    const t2 = s2 ^ s0;
    const t3 = s3 ^ s1;
    this.state[1] = s1 ^ t2;
    this.state[0] = s0 ^ t3;
    this.state[2] = t2 ^ (s1 << 9);
    this.state[3] = rotate(t3, 11);
    return result;
  }
}

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
