import type { Scenario } from '../scenario.ts';
import { echo } from './echo.ts';

/** In the order of the report. */
export const SCENARIOS: readonly Scenario[] = [echo];
