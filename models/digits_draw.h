// Draws digits as a pen would: strokes (lines and arcs of ellipses) with a random slant, size, place, width and wobble.
//
// Everything is exact in IEEE arithmetic (no libm function but sqrt), so that the same seed draws the same picture on
// every machine.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace digits {

constexpr int kSize = 28;  // pixels per side
using Image = std::vector<float>;  // kSize x kSize, 0 paper, 1 ink

class Random {  // SplitMix64
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  float uniform(float lo, float hi) { return lo + (hi - lo) * static_cast<float>(next() >> 40) * 0x1p-24f; }

 private:
  uint64_t state_;
};

struct Point {
  float x, y;
};
using Stroke = std::vector<Point>;

// Sixteenths of a turn, clockwise from the right (y points down).
inline Point on_circle(int k) {
  constexpr float c1 = 0.92387953f, s1 = 0.38268343f, h = 0.70710678f;
  constexpr Point quarter[4] = {{1, 0}, {c1, s1}, {h, h}, {s1, c1}};
  const int i = ((k % 16) + 16) % 16;
  Point p = quarter[i % 4];
  for (int q = 0; q < i / 4; ++q) p = {-p.y, p.x};
  return p;
}

inline Stroke arc(float cx, float cy, float rx, float ry, int from, int to) {
  Stroke s;
  for (int k = from; from < to ? k <= to : k >= to; k += from < to ? 1 : -1) {
    const Point p = on_circle(k);
    s.push_back({cx + rx * p.x, cy + ry * p.y});
  }
  return s;
}

// In the unit square.
inline std::vector<Stroke> strokes_of(int digit, Random& random) {
  auto joined = [](Stroke a, const Stroke& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  switch (digit) {
    case 0: return {arc(.5f, .5f, .27f, .4f, 0, 16)};
    case 1:
      if (random.next() & 1) return {{{.5f, .1f}, {.5f, .9f}}};
      return {{{.36f, .27f}, {.53f, .1f}, {.53f, .9f}}};
    case 2: return {joined(arc(.5f, .33f, .26f, .23f, 8, 18), {{.22f, .9f}, {.8f, .9f}})};
    case 3: return {joined(arc(.46f, .3f, .25f, .2f, 9, 20), arc(.46f, .7f, .28f, .21f, 12, 23))};
    case 4: return {{{.58f, .1f}, {.2f, .62f}, {.82f, .62f}}, {{.62f, .36f}, {.62f, .92f}}};
    case 5: return {joined({{.75f, .1f}, {.34f, .1f}, {.3f, .45f}}, arc(.48f, .65f, .28f, .25f, 11, 23))};
    case 6: return {joined({{.66f, .1f}, {.44f, .27f}, {.29f, .52f}}, arc(.5f, .68f, .23f, .22f, 8, 24))};
    case 7:
      if (random.next() % 4 == 0) return {{{.22f, .12f}, {.78f, .12f}, {.42f, .9f}}, {{.38f, .5f}, {.74f, .5f}}};
      return {{{.22f, .12f}, {.78f, .12f}, {.42f, .9f}}};
    case 8: return {arc(.5f, .3f, .21f, .2f, 4, 20), arc(.5f, .7f, .25f, .2f, -4, 12)};
    default: return {joined(arc(.5f, .33f, .23f, .22f, 0, 16), {{.72f, .6f}, {.62f, .9f}})};
  }
}

inline float distance_to(const Point& p, const Point& a, const Point& b) {
  const float dx = b.x - a.x, dy = b.y - a.y;
  const float length = dx * dx + dy * dy;
  float t = length > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / length : 0;
  t = std::clamp(t, 0.0f, 1.0f);
  const float ex = a.x + t * dx - p.x, ey = a.y + t * dy - p.y;
  return std::sqrt(ex * ex + ey * ey);
}

inline Image draw(int digit, Random& random) {
  const float size = random.uniform(17, 22);
  const float slant = random.uniform(-.3f, .3f), turn = random.uniform(-.15f, .15f);
  const float wide = size * random.uniform(.75f, 1.05f), wobble = random.uniform(0, .03f);
  const float cx = kSize * .5f + random.uniform(-2, 2), cy = kSize * .5f + random.uniform(-2, 2);
  const float pen = random.uniform(.8f, 1.7f), ink = random.uniform(.8f, 1);
  std::vector<Stroke> strokes = strokes_of(digit, random);
  for (Stroke& s : strokes) {
    for (Point& p : s) {
      const float x = p.x - .5f + random.uniform(-wobble, wobble), y = p.y - .5f + random.uniform(-wobble, wobble);
      p = {cx + wide * (x - slant * y), cy + size * (y + turn * x)};
    }
  }
  Image image(kSize * kSize, 0);
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      float nearest = 100;
      const Point pixel{static_cast<float>(x) + .5f, static_cast<float>(y) + .5f};
      for (const Stroke& s : strokes)
        for (size_t i = 0; i + 1 < s.size(); ++i) nearest = std::min(nearest, distance_to(pixel, s[i], s[i + 1]));
      const float noise = random.uniform(0, .04f);
      image[static_cast<size_t>(y * kSize + x)] = std::clamp(ink * (pen + .5f - nearest) + noise, 0.0f, 1.0f);
    }
  }
  return image;
}

}  // namespace digits
