import { app } from '@azure/functions';
import { start, stop } from '../src/composition.js';

app.hook.appStart(start);
app.hook.appTerminate(stop);
