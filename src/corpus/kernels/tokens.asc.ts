// AssemblyScript: where tokens end, as NLTK's TweetTokenizer cuts what the filter leaves.

import { isDigit, isLetter } from './characters.asc';

const SPACE: u8 = 0x20;
const APOSTROPHE: u8 = 0x27;
const OPEN_ROUND: u8 = 0x28;
const CLOSE_ROUND: u8 = 0x29;
const COMMA: u8 = 0x2c;
const DOT: u8 = 0x2e;
const COLON: u8 = 0x3a;
const OPEN_SQUARE: u8 = 0x5b;
const CLOSE_SQUARE: u8 = 0x5d;
const UNDERSCORE: u8 = 0x5f;

/**
 * The end of the token at `at`: TweetTokenizer's alternatives in its order
 * (nltk/tokenize/casual.py), each reduced to what the alphabet can match. What needs another
 * character (`<>`, `@`, `#`, `/`, `-`, `+`, `&`, emoji) or the letters "http" cannot occur: heart
 * emoticons, HTML tags, arrows, handles, hashtags, e-mail addresses, flags, entities, full URLs.
 */
export function tokenEnd(at: usize): usize {
  const first = load<u8>(at);
  const startsWord = isLetter(first);
  const startsNumber = isDigit(first);
  let end: usize = 0;
  if (startsWord || startsNumber) end = domainEnd(at);
  if (end == 0 && (startsNumber || first == OPEN_ROUND)) end = telephoneEnd(at);
  if (end == 0) end = emoticonEnd(at);
  if (end == 0 && startsWord) end = apostropheWordEnd(at);
  if (end == 0 && startsNumber) end = separatedNumberEnd(at);
  if (end == 0 && isWordCharacter(first)) {
    end = at + 1;
    while (isWordCharacter(load<u8>(end))) end++;
  }
  if (end == 0 && first == DOT) end = dotsEnd(at);
  return end == 0 ? at + 1 : end;
}

function isWordCharacter(byte: u8): bool {
  return isLetter(byte) || isDigit(byte) || byte == UNDERSCORE;
}

function lettersEnd(start: usize): usize {
  let at = start;
  while (isLetter(load<u8>(at))) at++;
  return at;
}

function digitsEnd(start: usize): usize {
  let at = start;
  while (isDigit(load<u8>(at))) at++;
  return at;
}

/** `(?:[a-z0-9]+\.)+[a-z]{2,13}\b`: a naked domain, the last alternative of URLS. */
function domainEnd(start: usize): usize {
  let found: usize = 0;
  let at = start;
  while (true) {
    let end = at;
    while (isLetter(load<u8>(end)) || isDigit(load<u8>(end))) end++;
    if (end == at || load<u8>(end) != DOT) return found;
    at = end + 1;
    const lastEnd = lettersEnd(at);
    const isLast = lastEnd - at >= 2 && lastEnd - at <= 13 && !isWordCharacter(load<u8>(lastEnd));
    if (isLast) found = lastEnd;
  }
}

/** `(?:[01][ .)]*)?(?:\(?\d{3}[ .)]*)?\d{3}[ .)]*\d{4}`: PHONE_REGEX. */
function telephoneEnd(at: usize): usize {
  const first = load<u8>(at);
  if (first == 0x30 || first == 0x31) {
    const end = areaNumberEnd(skipFill(at + 1));
    if (end != 0) return end;
  }
  return areaNumberEnd(at);
}

function areaNumberEnd(at: usize): usize {
  const area = load<u8>(at) == OPEN_ROUND ? at + 1 : at;
  if (areDigits(area, 3)) {
    const end = localNumberEnd(skipFill(area + 3));
    if (end != 0) return end;
  }
  return localNumberEnd(at);
}

function localNumberEnd(at: usize): usize {
  if (!areDigits(at, 3)) return 0;
  const rest = skipFill(at + 3);
  return areDigits(rest, 4) ? rest + 4 : 0;
}

function areDigits(start: usize, count: usize): bool {
  for (let at = start; at < start + count; at++) if (!isDigit(load<u8>(at))) return false;
  return true;
}

/** `[ .)]*` */
function skipFill(start: usize): usize {
  let at = start;
  while (load<u8>(at) == SPACE || load<u8>(at) == DOT || load<u8>(at) == CLOSE_ROUND) at++;
  return at;
}

/** `[:8][o']?[)\][(dp:]` or `[)\][(dp:][o']?[:8]`: emoticons, both ways round. */
function emoticonEnd(at: usize): usize {
  const first = load<u8>(at);
  const startsWithEyes = isEyes(first);
  const startsWithMouth = isMouth(first);
  if (!startsWithEyes && !startsWithMouth) return 0;
  const second = load<u8>(at + 1);
  const hasNose = (second | 0x20) == 0x6f || second == APOSTROPHE;
  const last = hasNose ? load<u8>(at + 2) : second;
  const end = at + (hasNose ? 3 : 2);
  if (startsWithEyes && isMouth(last)) return end;
  return startsWithMouth && isEyes(last) ? end : 0;
}

function isEyes(byte: u8): bool {
  return byte == COLON || byte == 0x38;
}

function isMouth(byte: u8): bool {
  const lower = byte | 0x20;
  return (
    byte == CLOSE_ROUND ||
    byte == OPEN_ROUND ||
    byte == OPEN_SQUARE ||
    byte == CLOSE_SQUARE ||
    byte == COLON ||
    lower == 0x64 ||
    lower == 0x70
  );
}

/** `[a-z][a-z'_]+[a-z]`: words with apostrophes inside. */
function apostropheWordEnd(at: usize): usize {
  let end = at + 1;
  while (isLetter(load<u8>(end)) || load<u8>(end) == APOSTROPHE || load<u8>(end) == UNDERSCORE) {
    end++;
  }
  while (end > at && !isLetter(load<u8>(end - 1))) end--;
  return end >= at + 3 ? end : 0;
}

/** `\d+[,.:]\d+`: numbers with a separator inside. */
function separatedNumberEnd(at: usize): usize {
  const separator = digitsEnd(at);
  const byte = load<u8>(separator);
  if (byte != COMMA && byte != DOT && byte != COLON) return 0;
  const end = digitsEnd(separator + 1);
  return end > separator + 1 ? end : 0;
}

/** `\.(?: *\.)+`: dots, apart or not. */
function dotsEnd(start: usize): usize {
  let end: usize = 0;
  let at = start + 1;
  while (true) {
    while (load<u8>(at) == SPACE) at++;
    if (load<u8>(at) != DOT) return end;
    at++;
    end = at;
  }
}
