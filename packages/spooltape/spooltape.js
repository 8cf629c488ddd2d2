#!/usr/bin/env node
// `npx spooltape` in a checkout. The built package has bin/spool.js instead.

import "../../bin/spool.js";
