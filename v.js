// The code of view "v", in the order in which it runs.

// ---- aggregate 2: by s; n = count(*); t = sum(n)
/*
 * gnitz: generated code
 * view v
 */
'use strict';

const { compareGerman } = $constants;

function compareGroupColumns(a, i, b, j) {
  const a_s_lanes = a.lanes[0];
  const b_s_lanes = b.lanes[0];
  const order_s = compareGerman(a_s_lanes, i * 4, a.heap, b_s_lanes, j * 4, b.heap);
  if (order_s !== 0) return order_s;
  return 0;
}

return compareGroupColumns;
//# sourceURL=gnitz/v/compareGroupColumns.js

/*
 * gnitz: generated code
 * view v
 */
'use strict';

const { hash, startHash, hashGerman, finishHash, copyString, hash_4, compareGroupColumns, moveString, overflow, addExactly, failure } = $constants;

function accumulateRows(input, from, to, table, errors) {
  const input_weights = input.weights;
  const input_s_lanes = input.lanes[1];
  const input_heap = input.heap;
  const table_keys32 = table.keys32;
  const table_1_undoSums = table.undoSums[1];
  const table_1_sums = table.sums[1];
  const table_weights = table.undoRows.weights;
  const table_weights_2 = table.rows.weights;
  const input_n = input.columns[2];
  for (let i = from; i < to; i++) {
    const weight = input_weights[i];
    if (weight === 0n) continue;
    const w = weight;
    const status = 1;
    if (status === 1) {
      let added;
      addRow: {
        startHash(hash);
        hashGerman(hash, input_s_lanes, i * 4, input_heap);
        finishHash(hash);
        const hash_0 = hash[0] >>> 0;
        const hash_1 = hash[1] >>> 0;
        const hash_2 = hash[2] >>> 0;
        const hash_3 = hash[3] >>> 0;
        const k0 = hash_0;
        const k1 = hash_1;
        const k2 = hash_2;
        const k3 = hash_3;
        table.scratch.heap.length = 0;
        const scratch = table.scratch;
        const scratch_s_lanes = scratch.lanes[0];
        const scratch_heap = scratch.heap;
        copyString(input_s_lanes, i * 4, input_heap, scratch_s_lanes, 0 * 4, scratch_heap);
        const mask = table.mask;
        const index = table.index;
        const keys32 = table_keys32;
        let p = hash_4(k0, k1, k2, k3) & mask;
        let slot = -1;
        for (; ; ) {
          const entry = index[p];
          if (entry === 0) break;
          if (keys32[(entry - 1) * 4] === k0 && keys32[(entry - 1) * 4 + 1] === k1 && (keys32[(entry - 1) * 4 + 2] === k2 && keys32[(entry - 1) * 4 + 3] === k3)) {
            const order = compareGroupColumns(table.scratch, 0, table.rows, entry - 1);
            if (order === 0) {
              slot = entry - 1;
              break;
            }
          }
          p = p + 1 & mask;
        }
        let t = 0;
        if (slot === -1) {
          if (table.size === table.capacity || table.touchedCount === table.touched.length) {
            added = 0;
            break addRow;
          }
          slot = table.size;
          table.size = slot + 1;
          table.rows.length = slot + 1;
          index[p] = slot + 1;
          keys32[slot * 4] = k0;
          keys32[slot * 4 + 1] = k1;
          keys32[slot * 4 + 2] = k2;
          keys32[slot * 4 + 3] = k3;
          const rows = table.rows;
          const rows_s_lanes = rows.lanes[0];
          const rows_heap = rows.heap;
          copyString(input_s_lanes, i * 4, input_heap, rows_s_lanes, slot * 4, rows_heap);
        } else {
          t = table.touchedAt[slot];
        }
        if (t === 0) {
          t = table.touchedCount;
          if (t === table.touched.length) {
            added = 0;
            break addRow;
          }
          table.touched[t] = slot;
          table.touchedCount = t + 1;
          table.touchedAt[slot] = t + 1;
          table.undoCounts[t] = table.counts[slot];
          table_1_undoSums[t] = table_1_sums[slot];
          const from_2 = table.rows;
          const from_2_s_lanes = from_2.lanes[0];
          const from_2_n = from_2.columns[1];
          const from_2_t = from_2.columns[2];
          const to_2 = table.undoRows;
          const to_2_s_lanes = to_2.lanes[0];
          const to_2_n = to_2.columns[1];
          const to_2_t = to_2.columns[2];
          moveString(from_2_s_lanes, slot * 4, from_2.heap, to_2_s_lanes, t * 4, to_2.heap);
          to_2_n[t] = from_2_n[slot];
          to_2_t[t] = from_2_t[slot];
          table_weights[t] = table_weights_2[slot];
        }
        const before = table.counts[slot];
        const after = BigInt.asIntN(64, before + w);
        if (((before ^ after) & (w ^ after)) < 0n) {
          overflow();
        }
        table.counts[slot] = after;
        const value_t = input_n[i];
        const x_t = BigInt(value_t);
        const old_t = table_1_sums[slot];
        const change_t = w === 1n ? x_t : BigInt.asIntN(64, -x_t);
        const sum_t = BigInt.asIntN(64, old_t + change_t);
        if (w !== 1n && w !== -1n || w === -1n && x_t === -9223372036854775808n || ((old_t ^ sum_t) & (change_t ^ sum_t)) < 0n) {
          addExactly(table, slot, w, value_t);
        } else {
          table_1_sums[slot] = sum_t;
        }
        added = 1;
      }
      if (added === 0) return i;
    } else if (status === 2) {
      const failed = failure(input, i);
      errors.add(failed, w);
    }
  }
  return to;
}

return accumulateRows;
//# sourceURL=gnitz/v/accumulateRows.js

/*
 * gnitz: generated code
 * view v
 */
'use strict';

function compareAggregates(a, i, b, j) {
  const a_n_lanes = a.lanes[1];
  const b_n_lanes = b.lanes[1];
  const a_t_lanes = a.lanes[2];
  const b_t_lanes = b.lanes[2];
  const x_n = a_n_lanes[i * 2 + 1];
  const y_n = b_n_lanes[j * 2 + 1];
  if (x_n !== y_n) return (x_n | 0) < (y_n | 0) ? -1 : 1;
  const u_n = a_n_lanes[i * 2];
  const v_n = b_n_lanes[j * 2];
  if (u_n !== v_n) return u_n < v_n ? -1 : 1;
  const x_t = a_t_lanes[i * 2 + 1];
  const y_t = b_t_lanes[j * 2 + 1];
  if (x_t !== y_t) return (x_t | 0) < (y_t | 0) ? -1 : 1;
  const u_t = a_t_lanes[i * 2];
  const v_t = b_t_lanes[j * 2];
  if (u_t !== v_t) return u_t < v_t ? -1 : 1;
  return 0;
}

return compareAggregates;
//# sourceURL=gnitz/v/compareAggregates.js

/*
 * gnitz: generated code
 * view v
 */
'use strict';

const { exactResult, sameAggregates, copyString } = $constants;

function settle(table, out, emit, failures) {
  const table_1_spills = table.spills[1];
  const table_1_sums = table.sums[1];
  const out_s_lanes = out.lanes[0];
  const out_n = out.columns[1];
  const out_t = out.columns[2];
  const out_weights = out.weights;
  const rows = table.rows;
  const rows_n = rows.columns[1];
  const rows_t = rows.columns[2];
  const rows_weights = rows.weights;
  const rows_s_lanes = rows.lanes[0];
  const undo = table.undoRows;
  const undo_weights = undo.weights;
  const undo_s_lanes = undo.lanes[0];
  const undo_n = undo.columns[1];
  const undo_t = undo.columns[2];
  const n = table.touchedCount;
  let k = out.length;
  for (let t = 0; t < n; t++) {
    const slot = table.touched[t];
    let exists = table.counts[slot] > 0n;
    if (exists) {
      let fits_n_2 = 1;
      rows_n[slot] = table.counts[slot];
      const fits_n = fits_n_2;
      if (fits_n === 0) {
        exists = false;
        failures.add(0, slot);
      }
      let fits_t_2 = 1;
      let missing_t = 0;
      if (missing_t === 1) {
        rows_t[slot] = 0n;
      } else if (table_1_spills.size > 0) {
        fits_t_2 = exactResult(table, rows, slot);
      } else {
        rows_t[slot] = table_1_sums[slot];
      }
      const fits_t = fits_t_2;
      if (fits_t === 0) {
        exists = false;
        failures.add(1, slot);
      }
    }
    const existed = undo_weights[t] !== 0n;
    rows_weights[slot] = exists ? 1n : 0n;
    if (emit && (existed || exists)) {
      let change = 1;
      if (existed && exists) {
        const same = sameAggregates(undo, t, rows, slot);
        if (same === 1) {
          change = 0;
        }
      }
      if (change === 1) {
        if (existed) {
          copyString(undo_s_lanes, t * 4, undo.heap, out_s_lanes, k * 4, out.heap);
          out_n[k] = undo_n[t];
          out_t[k] = undo_t[t];
          out_weights[k] = -1n;
          k++;
        }
        if (exists) {
          copyString(rows_s_lanes, slot * 4, rows.heap, out_s_lanes, k * 4, out.heap);
          out_n[k] = rows_n[slot];
          out_t[k] = rows_t[slot];
          out_weights[k] = 1n;
          k++;
        }
      }
    }
  }
  out.length = k;
}

return settle;
//# sourceURL=gnitz/v/settle.js

/*
 * gnitz: generated code
 * view v
 */
'use strict';

const { moveString } = $constants;

function restoreRow(from, i, to, k) {
  const from_s_lanes = from.lanes[0];
  const to_s_lanes = to.lanes[0];
  const to_n = to.columns[1];
  const from_n = from.columns[1];
  const to_t = to.columns[2];
  const from_t = from.columns[2];
  const to_weights = to.weights;
  const from_weights = from.weights;
  moveString(from_s_lanes, i * 4, from.heap, to_s_lanes, k * 4, to.heap);
  to_n[k] = from_n[i];
  to_t[k] = from_t[i];
  to_weights[k] = from_weights[i];
}

return restoreRow;
//# sourceURL=gnitz/v/restoreRow.js


// ---- view 3: v, kept by s; columns s, n, t = f64(t)
/*
 * gnitz: generated code
 * view v
 */
'use strict';

const { copyString, failure } = $constants;

function storeRows(input, from, to, out, errors) {
  const input_weights = input.weights;
  const input_s_lanes = input.lanes[0];
  const input_heap = input.heap;
  const out_s_lanes = out.lanes[0];
  const out_heap = out.heap;
  const input_n = input.columns[1];
  const out_n = out.columns[1];
  const input_t_lanes = input.lanes[2];
  const out_t = out.columns[2];
  const out_weights = out.weights;
  let k = out.length;
  for (let i = from; i < to; i++) {
    const weight = input_weights[i];
    if (weight === 0n) continue;
    const w = weight;
    const status = 1;
    if (status === 1) {
      copyString(input_s_lanes, i * 4, input_heap, out_s_lanes, k * 4, out_heap);
      out_n[k] = input_n[i];
      const t = (input_t_lanes[i * 2 + 1] | 0) * 4294967296 + input_t_lanes[i * 2];
      out_t[k] = t === t ? t : NaN;
      out_weights[k] = w;
      k++;
    } else if (status === 2) {
      const failed = failure(input, i);
      errors.add(failed, w);
    }
  }
  out.length = k;
}

return storeRows;
//# sourceURL=gnitz/v/storeRows.js

/*
 * gnitz: generated code
 * layout "s":string,"n":i64,"t":f64|hash:0|0,1,2
 */
'use strict';

const { comparePayload } = $constants;

function compareRows(a, i, b, j) {
  const a_keys32 = a.keys32;
  const b_keys32 = b.keys32;
  let byKey;
  compareKeys: {
    const x_0 = a_keys32[i * 4 + 3];
    const y_0 = b_keys32[j * 4 + 3];
    if (x_0 !== y_0) {
      byKey = x_0 < y_0 ? -1 : 1;
      break compareKeys;
    }
    const x_1 = a_keys32[i * 4 + 2];
    const y_1 = b_keys32[j * 4 + 2];
    if (x_1 !== y_1) {
      byKey = x_1 < y_1 ? -1 : 1;
      break compareKeys;
    }
    const x_2 = a_keys32[i * 4 + 1];
    const y_2 = b_keys32[j * 4 + 1];
    if (x_2 !== y_2) {
      byKey = x_2 < y_2 ? -1 : 1;
      break compareKeys;
    }
    const x_3 = a_keys32[i * 4];
    const y_3 = b_keys32[j * 4];
    if (x_3 !== y_3) {
      byKey = x_3 < y_3 ? -1 : 1;
      break compareKeys;
    }
    byKey = 0;
  }
  if (byKey !== 0) return byKey;
  return comparePayload(a, i, b, j);
}

return compareRows;
//# sourceURL=gnitz/v/compareRows.js

/*
 * gnitz: generated code
 * layout "s":string,"n":i64,"t":f64|hash:0|0,1,2
 */
'use strict';

const { compareRows, overflow, copyString } = $constants;

function consolidate(input, permutation, n, out) {
  const input_weights = input.weights;
  const out_keys = out.keys;
  const input_keys = input.keys;
  const input_s_lanes = input.lanes[0];
  const out_s_lanes = out.lanes[0];
  const out_n = out.columns[1];
  const input_n = input.columns[1];
  const out_t = out.columns[2];
  const input_t = input.columns[2];
  const out_weights = out.weights;
  let k = 0;
  let p = 0;
  while (p < n) {
    const i = permutation[p];
    let weight = input_weights[i];
    p++;
    while (p < n) {
      const next = permutation[p];
      if (compareRows(input, i, input, next) !== 0) break;
      const w = input_weights[next];
      const sum = BigInt.asIntN(64, weight + w);
      if (((weight ^ sum) & (w ^ sum)) < 0n) {
        overflow();
      }
      weight = sum;
      p++;
    }
    if (weight !== 0n) {
      out_keys[k * 2] = input_keys[i * 2];
      out_keys[k * 2 + 1] = input_keys[i * 2 + 1];
      copyString(input_s_lanes, i * 4, input.heap, out_s_lanes, k * 4, out.heap);
      out_n[k] = input_n[i];
      out_t[k] = input_t[i];
      out_weights[k] = weight;
      k++;
    }
  }
  out.length = k;
}

return consolidate;
//# sourceURL=gnitz/v/consolidate.js

/*
 * gnitz: generated code
 * layout "s":string,"n":i64,"t":f64|hash:0|0,1,2
 */
'use strict';

const { comparePayload, overflow, moveString, copyString } = $constants;

function absorb(head, delta, places) {
  const head_keys32 = head.keys32;
  const delta_keys32 = delta.keys32;
  const head_weights = head.weights;
  const delta_weights = delta.weights;
  const head_keys = head.keys;
  const head_s_lanes = head.lanes[0];
  const head_n = head.columns[1];
  const head_t = head.columns[2];
  const delta_keys = delta.keys;
  const delta_s_lanes = delta.lanes[0];
  const delta_n = delta.columns[1];
  const delta_t = delta.columns[2];
  const n = delta.length;
  const m = head.length;
  let fresh = 0;
  let low = 0;
  for (let d = 0; d < n; d++) {
    let high = m;
    let found = 0;
    while (low < high) {
      const middle = low + high >>> 1;
      let order;
      compareKeys: {
        const x_0 = head_keys32[middle * 4 + 3];
        const y_0 = delta_keys32[d * 4 + 3];
        if (x_0 !== y_0) {
          order = x_0 < y_0 ? -1 : 1;
          break compareKeys;
        }
        const x_1 = head_keys32[middle * 4 + 2];
        const y_1 = delta_keys32[d * 4 + 2];
        if (x_1 !== y_1) {
          order = x_1 < y_1 ? -1 : 1;
          break compareKeys;
        }
        const x_2 = head_keys32[middle * 4 + 1];
        const y_2 = delta_keys32[d * 4 + 1];
        if (x_2 !== y_2) {
          order = x_2 < y_2 ? -1 : 1;
          break compareKeys;
        }
        const x_3 = head_keys32[middle * 4];
        const y_3 = delta_keys32[d * 4];
        if (x_3 !== y_3) {
          order = x_3 < y_3 ? -1 : 1;
          break compareKeys;
        }
        order = 0;
      }
      if (order === 0) {
        order = comparePayload(head, middle, delta, d);
      }
      if (order < 0) {
        low = middle + 1;
      } else {
        high = middle;
        if (order === 0) {
          found = 1;
        }
      }
    }
    if (found === 1) {
      const x = head_weights[low];
      const y = delta_weights[d];
      const sum = BigInt.asIntN(64, x + y);
      if (((x ^ sum) & (y ^ sum)) < 0n) {
        overflow();
      }
      places[d] = -1 - low;
    } else {
      places[d] = low;
      fresh++;
    }
  }
  let end = m;
  let shift = fresh;
  for (let d = n - 1; d >= 0; d--) {
    const place = places[d];
    if (place < 0) {
      const at = -1 - place;
      head_weights[at] = head_weights[at] + delta_weights[d];
      continue;
    }
    for (let r = end - 1; r >= place; r--) {
      const k = r + shift;
      head_keys[k * 2] = head_keys[r * 2];
      head_keys[k * 2 + 1] = head_keys[r * 2 + 1];
      moveString(head_s_lanes, r * 4, head.heap, head_s_lanes, k * 4, head.heap);
      head_n[k] = head_n[r];
      head_t[k] = head_t[r];
      head_weights[r + shift] = head_weights[r];
    }
    shift--;
    const k = place + shift;
    head_keys[k * 2] = delta_keys[d * 2];
    head_keys[k * 2 + 1] = delta_keys[d * 2 + 1];
    copyString(delta_s_lanes, d * 4, delta.heap, head_s_lanes, k * 4, head.heap);
    head_n[k] = delta_n[d];
    head_t[k] = delta_t[d];
    head_weights[place + shift] = delta_weights[d];
    end = place;
  }
  head.length = m + fresh;
}

return absorb;
//# sourceURL=gnitz/v/absorb.js

/*
 * gnitz: generated code
 * layout "s":string,"n":i64,"t":f64|hash:0|0,1,2
 */
'use strict';

const { copyString } = $constants;

function copyRow(from, i, to, k) {
  const to_keys = to.keys;
  const from_keys = from.keys;
  const from_s_lanes = from.lanes[0];
  const to_s_lanes = to.lanes[0];
  const to_n = to.columns[1];
  const from_n = from.columns[1];
  const to_t = to.columns[2];
  const from_t = from.columns[2];
  const to_weights = to.weights;
  const from_weights = from.weights;
  to_keys[k * 2] = from_keys[i * 2];
  to_keys[k * 2 + 1] = from_keys[i * 2 + 1];
  copyString(from_s_lanes, i * 4, from.heap, to_s_lanes, k * 4, to.heap);
  to_n[k] = from_n[i];
  to_t[k] = from_t[i];
  to_weights[k] = from_weights[i];
}

return copyRow;
//# sourceURL=gnitz/v/copyRow.js

/*
 * gnitz: generated code
 * layout "s":string,"n":i64,"t":f64|hash:0|0,1,2
 */
'use strict';

const { compareRows, copyString, overflow } = $constants;

function mergeAll(runs, out, heap, at) {
  const out_keys = out.keys;
  const out_s_lanes = out.lanes[0];
  const out_n = out.columns[1];
  const out_t = out.columns[2];
  const out_weights = out.weights;
  let size = 0;
  for (let r = 0; r < runs.length; r++) {
    at[r] = 0;
    if (runs[r].length === 0) continue;
    let c = size;
    size++;
    while (c > 0) {
      const parent = c - 1 >> 1;
      if (compareRows(runs[heap[parent]], at[heap[parent]], runs[r], 0) <= 0) break;
      heap[c] = heap[parent];
      c = parent;
    }
    heap[c] = r;
  }
  let k = 0;
  let open = 0;
  let weight = 0n;
  let lastRun = 0;
  let lastRow = 0;
  while (size > 0 || open === 1) {
    let same = 0;
    let r = 0;
    if (size > 0) {
      r = heap[0];
      if (open === 1 && compareRows(runs[lastRun], lastRow, runs[r], at[r]) === 0) {
        same = 1;
      }
    }
    if (open === 1 && same === 0) {
      if (weight !== 0n) {
        const from = runs[lastRun];
        const from_keys = from.keys;
        const from_s_lanes = from.lanes[0];
        const from_n = from.columns[1];
        const from_t = from.columns[2];
        out_keys[k * 2] = from_keys[lastRow * 2];
        out_keys[k * 2 + 1] = from_keys[lastRow * 2 + 1];
        copyString(from_s_lanes, lastRow * 4, from.heap, out_s_lanes, k * 4, out.heap);
        out_n[k] = from_n[lastRow];
        out_t[k] = from_t[lastRow];
        out_weights[k] = weight;
        k++;
      }
      open = 0;
      if (size === 0) break;
    }
    const run = runs[r];
    const run_weights = run.weights;
    const w = run_weights[at[r]];
    if (same === 1) {
      const sum = BigInt.asIntN(64, weight + w);
      if (((weight ^ sum) & (w ^ sum)) < 0n) {
        overflow();
      }
      weight = sum;
    } else {
      open = 1;
      weight = w;
      lastRun = r;
      lastRow = at[r];
    }
    at[r]++;
    let moved = r;
    if (at[r] === run.length) {
      size--;
      moved = heap[size];
    }
    let c = 0;
    for (; ; ) {
      let child = 2 * c + 1;
      if (child >= size) break;
      if (child + 1 < size) {
        const a = heap[child];
        const b = heap[child + 1];
        if (compareRows(runs[b], at[b], runs[a], at[a]) < 0) {
          child++;
        }
      }
      const least = heap[child];
      if (compareRows(runs[moved], at[moved], runs[least], at[least]) <= 0) break;
      heap[c] = least;
      c = child;
    }
    if (size > 0) {
      heap[c] = moved;
    }
  }
  out.length = k;
}

return mergeAll;
//# sourceURL=gnitz/v/mergeAll.js

/*
 * gnitz: generated code
 * layout "s":string,"n":i64,"t":f64|hash:0|0,1,2
 */
'use strict';

const { compareGerman } = $constants;

function comparePayload(a, i, b, j) {
  const a_s_lanes = a.lanes[0];
  const b_s_lanes = b.lanes[0];
  const a_n_lanes = a.lanes[1];
  const b_n_lanes = b.lanes[1];
  const a_t = a.columns[2];
  const b_t = b.columns[2];
  const order_s = compareGerman(a_s_lanes, i * 4, a.heap, b_s_lanes, j * 4, b.heap);
  if (order_s !== 0) return order_s;
  const x_n = a_n_lanes[i * 2 + 1];
  const y_n = b_n_lanes[j * 2 + 1];
  if (x_n !== y_n) return (x_n | 0) < (y_n | 0) ? -1 : 1;
  const u_n = a_n_lanes[i * 2];
  const v_n = b_n_lanes[j * 2];
  if (u_n !== v_n) return u_n < v_n ? -1 : 1;
  const x_t = a_t[i];
  const y_t = b_t[j];
  if (x_t < y_t) return -1;
  if (x_t > y_t) return 1;
  if (x_t !== y_t && (x_t === x_t || y_t === y_t)) return x_t === x_t ? -1 : 1;
  return 0;
}

return comparePayload;
//# sourceURL=gnitz/v/comparePayload.js

