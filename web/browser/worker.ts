import { answerInWorker } from 'dialogpt/browser';

answerInWorker(self);
