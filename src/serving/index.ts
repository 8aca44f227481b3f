/**
 * The server of `dialogpt serve`, as a library: `import { startServer } from 'dialogpt/server'`.
 *
 * @packageDocumentation
 */
export { type Extension } from './app.js';
export { browserModel } from './browser-model.js';
export { conversations } from './conversations/routes.js';
export { ConversationStore } from './conversations/store.js';
export { addPath, type App, type Env } from './context.js';
export { ApiError } from './errors.js';
export { pages } from './pages.js';
export { type RunningServer, type ServerOptions, startServer } from './server.js';
export { type Services } from './services.js';
