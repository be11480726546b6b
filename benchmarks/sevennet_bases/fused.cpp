// The sums of a SevenNet convolution over edges, and their gradient, without a message of any edge in memory.
//
// Arrays are float32 and contiguous. Features of an atom and sums at an atom are blocks of one degree l each, laid out
// (2l + 1, multiplicity), so that the innermost loops run over neighbours in memory. A path couples a block of features
// (degree a) with the spherical harmonics of degree b of an edge to a block of sums (degree k):
//     sum[k, c] += weight[c] * sum over a of M[k, a] * feature[a, c],    M[k, a] = sum over b of C[a, b, k] * Y[b].
#include <cstdint>

namespace {

constexpr int most = 5;  // 2l + 1 of the highest degree, l = 2
constexpr int columns = 8;

struct Path {
  int64_t feature_offset, multiplicity, a_degree, b_degree, sum_offset, k_degree, weight_offset, coefficient_offset;
};

int size(int64_t degree) { return static_cast<int>(2 * degree + 1); }

void contract(const Path& path, const float* coefficients, const float* harmonics, float M[most][most]) {
  const int na = size(path.a_degree), nb = size(path.b_degree), nk = size(path.k_degree);
  const float* C = coefficients + path.coefficient_offset;
  const float* Y = harmonics + path.b_degree * path.b_degree;
  for (int k = 0; k < nk; ++k)
    for (int a = 0; a < na; ++a) {
      float total = 0;
      for (int b = 0; b < nb; ++b) total += C[(a * nb + b) * nk + k] * Y[b];
      M[k][a] = total;
    }
}

struct Forward {
  float M[most][most];
  const float *feature, *weight;
  float* sum;

  template <int NA, int NK>
  void run(int64_t n) {
    for (int64_t c = 0; c < n; ++c) {
      float x[NA];
      for (int a = 0; a < NA; ++a) x[a] = feature[a * n + c];
      for (int k = 0; k < NK; ++k) {
        float total = 0;
        for (int a = 0; a < NA; ++a) total += M[k][a] * x[a];
        sum[k * n + c] += weight[c] * total;
      }
    }
  }
};

struct Backward {
  float M[most][most], G[most][most];  // G is the gradient by M
  const float *feature, *weight, *upstream;
  float *by_feature, *by_weight;

  template <int NA, int NK>
  void run(int64_t n) {
    for (int64_t c = 0; c < n; ++c) {
      float total = 0, inner[NA];
      for (int a = 0; a < NA; ++a) inner[a] = 0;
      for (int k = 0; k < NK; ++k) {
        const float g = upstream[k * n + c];
        float message = 0;
        for (int a = 0; a < NA; ++a) {
          message += M[k][a] * feature[a * n + c];
          inner[a] += M[k][a] * g;
        }
        total += g * message;
      }
      by_weight[c] = total;
      for (int a = 0; a < NA; ++a) by_feature[a * n + c] += weight[c] * inner[a];
    }
    for (int k = 0; k < NK; ++k)
      for (int a = 0; a < NA; ++a) {
        float total = 0;
        for (int64_t c = 0; c < n; ++c) total += weight[c] * upstream[k * n + c] * feature[a * n + c];
        G[k][a] = total;
      }
  }
};

// Sizes are known when this is compiled, so that the short loops are unrolled and the long ones are vectorised.
template <class Work>
void dispatch(Work& work, const Path& path) {
  const int64_t n = path.multiplicity;
  switch (path.a_degree * 3 + path.k_degree) {
    case 0: return work.template run<1, 1>(n);
    case 1: return work.template run<1, 3>(n);
    case 2: return work.template run<1, 5>(n);
    case 3: return work.template run<3, 1>(n);
    case 4: return work.template run<3, 3>(n);
    case 5: return work.template run<3, 5>(n);
    case 6: return work.template run<5, 1>(n);
    case 7: return work.template run<5, 3>(n);
    case 8: return work.template run<5, 5>(n);
  }
}

}  // namespace

struct Edges {
  int64_t n_edges, n_paths, n_features, n_sums, n_weights;
  const Path* paths;
  const float* coefficients;
  const int64_t *to, *from;
};

constexpr int n_harmonics = 9;

extern "C" void sums(const Edges* edges, const float* features, const float* harmonics, const float* weights, float* out) {
  Forward work;
  for (int64_t e = 0; e < edges->n_edges; ++e)
    for (int64_t i = 0; i < edges->n_paths; ++i) {
      const Path& path = edges->paths[i];
      contract(path, edges->coefficients, harmonics + n_harmonics * e, work.M);
      work.feature = features + edges->from[e] * edges->n_features + path.feature_offset;
      work.weight = weights + e * edges->n_weights + path.weight_offset;
      work.sum = out + edges->to[e] * edges->n_sums + path.sum_offset;
      dispatch(work, path);
    }
}

// ``by_features`` and ``by_harmonics`` come as zeros; every number of ``by_weights`` is written.
extern "C" void gradients(const Edges* edges, const float* features, const float* harmonics, const float* weights,
                          const float* upstream, float* by_features, float* by_harmonics, float* by_weights) {
  Backward work;
  for (int64_t e = 0; e < edges->n_edges; ++e)
    for (int64_t i = 0; i < edges->n_paths; ++i) {
      const Path& path = edges->paths[i];
      contract(path, edges->coefficients, harmonics + n_harmonics * e, work.M);
      work.feature = features + edges->from[e] * edges->n_features + path.feature_offset;
      work.by_feature = by_features + edges->from[e] * edges->n_features + path.feature_offset;
      work.weight = weights + e * edges->n_weights + path.weight_offset;
      work.by_weight = by_weights + e * edges->n_weights + path.weight_offset;
      work.upstream = upstream + edges->to[e] * edges->n_sums + path.sum_offset;
      dispatch(work, path);
      const int na = size(path.a_degree), nb = size(path.b_degree), nk = size(path.k_degree);
      const float* C = edges->coefficients + path.coefficient_offset;
      float* Y = by_harmonics + n_harmonics * e + path.b_degree * path.b_degree;
      for (int b = 0; b < nb; ++b)
        for (int a = 0; a < na; ++a)
          for (int k = 0; k < nk; ++k) Y[b] += C[(a * nb + b) * nk + k] * work.G[k][a];
    }
}
