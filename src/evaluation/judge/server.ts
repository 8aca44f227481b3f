import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { messageOf } from '../../base/errors.js';
import { QUESTIONS } from './judgements.js';
import { judgePage } from './page.js';
import type { JudgingSession } from './session.js';

const answer = z.enum(['left', 'right', 'tie']);
const submission = z.object({
  judge: z.string().min(1).max(100),
  instance: z.int().min(0),
  answers: z.object({ relevance: answer, informativeness: answer, 'human-likeness': answer }),
});

const LARGEST_BODY = 1 << 16;

/**
 * The judges' page: `GET /` the page, `GET /task?judge=…` the next pair as JSON (`null` where all
 * are judged), `POST /judgement` the answers. Meant for this machine only.
 */
export function createJudgeServer(session: JudgingSession, count: number): Server {
  return createServer((request, response) => {
    handle(session, count, request, response).catch((error: unknown) => {
      sendJson(response, 500, { error: messageOf(error) });
    });
  });
}

async function handle(
  session: JudgingSession,
  count: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (request.method === 'GET' && url.pathname === '/') {
    response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      .end(judgePage(QUESTIONS));
  } else if (request.method === 'GET' && url.pathname === '/task') {
    sendJson(response, 200, session.next(url.searchParams.get('judge') ?? '') ?? null);
  } else if (request.method === 'POST' && url.pathname === '/judgement') {
    const parsed = submission.safeParse(await readBody(request));
    if (!parsed.success || parsed.data.instance >= count) {
      sendJson(response, 400, { error: 'These are no answers to a pair.' });
      return;
    }
    await session.record(parsed.data.judge, parsed.data.instance, parsed.data.answers);
    sendJson(response, 200, { recorded: true });
  } else {
    sendJson(response, 404, { error: 'There is nothing here.' });
  }
}

/** The request's JSON, or undefined where it is none or too large. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  if (request.headers['content-type'] !== 'application/json') return undefined;
  let body = '';
  request.setEncoding('utf8');
  for await (const piece of request) {
    body += String(piece);
    if (body.length > LARGEST_BODY) return undefined;
  }
  try {
    const value: unknown = JSON.parse(body);
    return value;
  } catch {
    return undefined;
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
    .end(JSON.stringify(value));
}
