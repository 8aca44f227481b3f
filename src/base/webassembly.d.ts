/** The little of WebAssembly's interface that we use; Node's types leave it to the browser's. */
declare namespace WebAssembly {
  class Memory {
    readonly buffer: ArrayBuffer;
  }

  /** A compiled module; opaque. */
  type Module = object;
  const Module: new (bytes: Uint8Array) => Module;

  /** What a module imports, by its name for the giver and then for the thing. */
  type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Readonly<Record<string, unknown>>;
  }
}
