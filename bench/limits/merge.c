// What compaction could cost: four sorted runs of columns merged into one in memory, rows of equal key and content
// summed, by a C program of a page. No file, no checksum, one thread.
//
//   merge ROWS STEP    ROWS a run; ids are i * STEP modulo 2^32. Prints nanoseconds: of the merge, of memcpy.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS 4
#define ROUNDS 7

typedef struct {
  uint64_t *key;
  int64_t *weight;
  uint32_t *user;
  uint8_t *kind;
  double *amount;
  int64_t *ts;
  size_t count;
} run;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *memory(size_t bytes) {
  void *at = malloc(bytes);
  if (at == NULL) exit(1);
  memset(at, 1, bytes);
  return at;
}

static run make(size_t rows) {
  run r = {memory(rows * 8), memory(rows * 8), memory(rows * 4), memory(rows), memory(rows * 8), memory(rows * 8), rows};
  return r;
}

static int ascending(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static int same(const run *a, size_t i, const run *b, size_t j) {
  return a->user[i] == b->user[j] && a->kind[i] == b->kind[j] && a->amount[i] == b->amount[j] && a->ts[i] == b->ts[j];
}

// The key of a run's next row; the largest there is where no row is left.
static inline uint64_t head(const run *r, size_t at) { return at < r->count ? r->key[at] : UINT64_MAX; }

static size_t merge(const run *in, run *out) {
  size_t at[RUNS] = {0}, total = 0, n = 0;
  uint64_t k[RUNS];
  for (int r = 0; r < RUNS; r++) total += in[r].count, k[r] = head(&in[r], 0);
  for (size_t row = 0; row < total; row++) {
    int a = k[1] < k[0], b = 2 + (k[3] < k[2]);
    int r = k[b] < k[a] ? b : a;
    size_t i = at[r];
    const run *from = &in[r];
    if (n > 0 && out->key[n - 1] == k[r] && same(out, n - 1, from, i)) {
      out->weight[n - 1] += from->weight[i];
      n -= out->weight[n - 1] == 0;
    } else {
      out->key[n] = k[r];
      out->weight[n] = from->weight[i];
      out->user[n] = from->user[i];
      out->kind[n] = from->kind[i];
      out->amount[n] = from->amount[i];
      out->ts[n] = from->ts[i];
      n++;
    }
    at[r] = i + 1;
    k[r] = head(from, i + 1);
  }
  return n;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  size_t rows = strtoull(argv[1], NULL, 10);
  uint32_t step = (uint32_t)strtoul(argv[2], NULL, 10);
  run in[RUNS], out = make(rows * RUNS);
  for (int r = 0; r < RUNS; r++) {
    in[r] = make(rows);
    for (size_t i = 0; i < rows; i++) in[r].key[i] = (uint32_t)(r * rows + i) * step;
    qsort(in[r].key, rows, 8, ascending);
    for (size_t i = 0; i < rows; i++) in[r].ts[i] = (int64_t)(r * rows + i), in[r].weight[i] = 1;
  }
  size_t bytes = rows * RUNS * 37;
  char *from = memory(bytes), *to = memory(bytes);
  uint64_t merged = UINT64_MAX, copied = UINT64_MAX;
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t start = now();
    if (merge(in, &out) != rows * RUNS) return 3;
    uint64_t middle = now();
    memcpy(to, from, bytes);
    from[round] = to[round + 1];
    uint64_t end = now();
    if (middle - start < merged) merged = middle - start;
    if (end - middle < copied) copied = end - middle;
  }
  printf("%llu %llu\n", (unsigned long long)merged, (unsigned long long)copied);
  return 0;
}
