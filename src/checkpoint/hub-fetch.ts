import type { EnvHttpProxyAgent } from 'undici';

/** Made when first needed: it reads the environment. */
let agent: EnvHttpProxyAgent | undefined;

/** What is asked of the network. */
export interface HubRequestOptions {
  readonly headers: Headers;
  readonly method?: string;
  readonly signal: AbortSignal;
}

/**
 * `fetch` through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` (also in small letters)
 * name, as Python's libraries and curl do; Node's own `fetch` does not look at them.
 */
export async function hubFetch(url: string, options: HubRequestOptions): Promise<Response> {
  // Loaded here, as most who load a model ask no hub, and it takes a tenth of a second.
  const undici = await import('undici');
  agent ??= new undici.EnvHttpProxyAgent();
  const { headers, method = 'GET', signal } = options;
  const answer = await undici.fetch(url, {
    method,
    headers: [...headers],
    signal,
    dispatcher: agent,
  });
  const { body, status, statusText } = answer;
  return new Response(body, { status, statusText, headers: [...answer.headers] });
}
