// Horizontal fusion: independent kernels run beside each other, one loop over all their items, and one wait at its end.
// Only small ones are put together, a launch of more than kLargeLaunch gains nothing by it; and only where that saves some
// time: kLeastBeside. For a group, launches move ahead in
// the order, which stays as it is otherwise; what a group makes and reads lives through all of it, and no more than
// kMoreMemory may come of that. See host_program.h.
#include <algorithm>

#include "passes/schedule/host_program.h"
#include "runtime/abi.h"

namespace ingot {

namespace {

inline constexpr double kLargeLaunch = 20e6;  // picoseconds, of one thread
inline constexpr double kLeastBeside = 2e6;  // picoseconds: what runs beside the longest of a group
inline constexpr size_t kReach = 16;  // launches that one may pass
inline constexpr int64_t kGuessedExtent = 16;  // of a symbol, where time and memory are estimated
// Of a thread. kGrainPs: the time of a `grain`.
inline constexpr double kFlopsPerPs = 0.1, kBytesPerPs = 0.02, kGrainPs = 2.5e6;

double guess(const Dim& d) {
  std::map<int64_t, Symbol> symbols;
  collect_symbols(d, symbols);
  Substitution s;
  for (const auto& [id, symbol] : symbols) s.emplace(id, Dim(std::clamp(kGuessedExtent, symbol->lo, symbol->hi)));
  return static_cast<double>(substitute(d, s).constant().value_or(0));
}

}  // namespace

// Of an item, in picoseconds.
int64_t Host::cost_of(const Launch& l) {
  const double items = std::max(guess(l.items), 1.0);
  double cost = kGrainPs / static_cast<double>(l.grain);
  Substitution scalars;
  for (size_t k = 0; k < l.kernel.scalars.size(); ++k) scalars.emplace(l.kernel.scalars[k]->id, l.scalars[k]);
  if (l.grain == 1) {
    const double work = std::max(guess(substitute(l.kernel.flops, scalars)) / kFlopsPerPs,
                                 guess(substitute(l.kernel.bytes, scalars)) / kBytesPerPs);
    cost = std::max(cost, work / items);
  }
  return static_cast<int64_t>(std::clamp(cost, 1.0, 1e12));
}

// Whether two launches touch an element that one of them writes.
bool Host::in_order(const Launched& a, const Launched& b) const {
  for (const auto& [x, x_written] : a.values) {
    for (const auto& [y, y_written] : b.values) {
      if (!x_written && !y_written) continue;
      if (memory_of(storages_, x) != memory_of(storages_, y)) continue;
      if ((a.border && x_written && y_written) || (b.border && x_written && y_written)) continue;
      if (x == y || !apart(storages_, x, y)) return true;
    }
  }
  return false;
}

// The most bytes that arena values take at once.
double Host::most_memory(const std::map<int, Life>& lives) const {
  std::map<int, double> change;
  for (int id : arena_) {
    const Life& life = lives.at(id);
    const double size = guess(bytes(id));
    change[life.first] += size;
    change[life.last + 1] -= size;
  }
  double now = 0, most = 0;
  for (const auto& [at, size] : change) most = std::max(most, now += size);
  return most;
}

// Lives after the launches of one run changed places: those of a group are there through all of it.
std::map<int, Host::Life> Host::lives_after(const std::vector<std::vector<size_t>>& groups,
                                            const std::vector<const Launched*>& run) const {
  std::map<int, Life> moved;  // within this run
  size_t at = 0;
  for (const std::vector<size_t>& group : groups) {
    const int first = run[at]->position, last = run[at + group.size() - 1]->position;
    for (size_t k : group) {
      for (const auto& [id, written] : run[k]->values) {
        if (!value(id).type.is_tensor()) continue;
        auto [it, fresh] = moved.try_emplace(memory_of(storages_, id), Life{first, last});
        it->second.first = std::min(it->second.first, first);
        it->second.last = std::max(it->second.last, last);
      }
    }
    at += group.size();
  }
  std::map<int, Life> lives = lives_;
  const int begin = run.front()->position, end = run.back()->position;
  for (const auto& [id, life] : moved) {
    Life& l = lives.at(id);
    // A life that begins before the run's first launch begins where its memory was placed.
    if (l.first >= begin) l.first = life.first;
    if (l.last <= end) l.last = life.last;
  }
  return lives;
}

// The launches of a run in groups, in the order in which they run; by their indices. `move`: later ones may come forward.
std::vector<std::vector<size_t>> Host::grouped(const std::vector<const Launched*>& run, bool move) const {
  const size_t n = run.size();
  std::vector<std::vector<size_t>> needs(n);
  for (size_t k = 0; k < n; ++k) {
    for (size_t j = k > kReach ? k - kReach : 0; j < k; ++j) {
      if (in_order(*run[j], *run[k])) needs[k].push_back(j);
    }
  }
  std::vector<bool> done(n, false);
  std::vector<std::vector<size_t>> groups;
  for (size_t k = 0; k < n; ++k) {
    if (done[k]) continue;
    std::vector<size_t> group = {k};
    if (run[k]->time <= kLargeLaunch) {
      for (size_t j = k + 1; j < n && j <= k + kReach && group.size() < INGOT_MAX_GROUP; ++j) {
        if (done[j]) continue;
        const bool ready = std::all_of(needs[j].begin(), needs[j].end(), [&](size_t i) { return done[i]; });
        if (ready && run[j]->time <= kLargeLaunch) group.push_back(j);
        else if (!move) break;
      }
    }
    double all = 0, longest = 0;
    for (size_t j : group) all += run[j]->time, longest = std::max(longest, run[j]->time);
    if (all - longest < kLeastBeside) group.resize(1);
    for (size_t j : group) done[j] = true;
    groups.push_back(std::move(group));
  }
  return groups;
}

void Host::group(std::vector<l::Stmt>& list) {
  const bool together = facts_.device == TargetFacts::Device::Cpu && options_.groups;
  auto in_run = [&](const l::Stmt& s) {
    if (s.kind == l::StmtKind::Launch) return true;
    // Memory of a dynamic value is given back where it is placed again.
    return s.kind == l::StmtKind::Place && out_.buffers[static_cast<size_t>(s.id)].kind != l::HostBuffer::Kind::Dynamic;
  };
  std::vector<l::Stmt> result;
  for (size_t k = 0; k < list.size();) {
    if (!in_run(list[k])) {
      result.push_back(std::move(list[k++]));
      continue;
    }
    std::vector<l::Stmt> launches;
    for (; k < list.size() && in_run(list[k]); ++k) {
      if (list[k].kind == l::StmtKind::Launch) launches.push_back(std::move(list[k]));
      else result.push_back(std::move(list[k]));
    }
    if (launches.empty()) continue;
    std::vector<const Launched*> run;
    for (const l::Stmt& s : launches) run.push_back(&launched_.at(s.id));
    // As they are: a value lives from the launch that makes it, and not from where its memory was placed.
    std::vector<std::vector<size_t>> groups;
    for (size_t j = 0; j < run.size(); ++j) groups.push_back({j});
    lives_ = lives_after(groups, run);
    const double most = most_memory(lives_) * (1 + kMoreMemory);
    for (bool move : {true, false}) {
      if (!together) break;
      auto found = grouped(run, move);
      std::map<int, Life> lives = lives_after(found, run);
      if (most_memory(lives) > most) continue;
      lives_ = std::move(lives);
      groups = std::move(found);
      break;
    }
    std::vector<int> positions;
    for (const Launched* l : run) positions.push_back(l->position);
    size_t at = 0;
    for (const std::vector<size_t>& members : groups) {
      for (size_t j : members) launched_.at(launches[j].id).position = positions[at++];
      if (members.size() == 1) {
        result.push_back(std::move(launches[members[0]]));
        continue;
      }
      l::Stmt g{l::StmtKind::Group};
      for (size_t j : members) g.body.push_back(std::move(launches[j]));
      g.node = g.body[0].node;
      result.push_back(std::move(g));
    }
  }
  list = std::move(result);
}

}  // namespace ingot
