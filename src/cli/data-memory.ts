import { InvalidArgumentError } from '@commander-js/extra-typings';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** A size of memory as people write it (`256MB`, `4GB`, `1.5GiB`), in bytes. */
export function parseMemory(text: string): number {
  const found = /^(\d+(?:\.\d+)?) *([a-z]*)$/i.exec(text.trim());
  const unit = UNITS[(found?.[2] ?? '-').toLowerCase()];
  const bytes = Number(found?.[1]) * (unit ?? NaN);
  if (bytes >= 1e6) return bytes;
  throw new InvalidArgumentError('Give a size of at least 1MB, such as 256MB or 4GB.');
}
