// The state of K to L: one object walks the stages of a program and builds the host program, its kernels and its buffers.
// host.cpp begins and ends; host_stages.cpp turns stages into kernels; host_control.cpp emits the rest of the host program;
// host_memory.cpp knows where values lie; groups.cpp lets launches run beside each other.
#pragma once

#include <map>
#include <set>

#include "passes/kernels/passes.h"
#include "passes/schedule/chain.h"
#include "passes/schedule/host.h"
#include "passes/schedule/kernel_builder.h"
#include "passes/schedule/windows.h"

namespace ingot {

class Host {
 public:
  Host(k::Program p, const TargetFacts& facts, const ScheduleOptions& options);
  Result<l::Program> run();

 private:
  const k::Value& value(int id) const { return p_.values[static_cast<size_t>(id)]; }
  const Storage& storage(int id) const { return storages_[static_cast<size_t>(id)]; }

  // host.cpp
  void own_outputs();
  void give_objects();
  Result<void> check_sizes() const;
  void choose_winograd();

  // host_memory.cpp
  int bind(int id, l::HostBuffer b);
  Dim bytes(int id) const;
  bool known_at_entry(const Dim& d) const;
  int buffer(int id, bool decided = false);
  int string_table(int id);
  void begin_weights();
  Dim add_weights(TensorRef data);
  void fill_weights();
  void touch(int id);
  void place_in_arena();
  void place(int id);
  void define(int id);
  void fill_border(int id);

  // one_form.cpp
  bool others_read_little(int id) const;
  Result<void> choose_form(const k::Stage& reduce, const k::Stage* epilogue, const Uses& uses);

  // host_stages.cpp
  void emit_launch(Launch l);
  void doing(const std::vector<const k::Stage*>& stages);
  l::KernelNotes notes_of(const Launch& l) const;
  struct ChainKernels {
    std::vector<const k::Stage*> stages;
    std::vector<Launch> launches;
  };
  Result<std::optional<ChainKernels>> chain(const Chain& c, const k::Block& b);
  Result<void> block(const k::Block& b);
  Result<std::optional<std::vector<Launch>>> product(const k::Stage& reduce, const k::Stage* epilogue);
  size_t shared_prefix(const std::vector<const k::Stage*>& group) const;
  Result<k::Stage> with_contiguous_constants(const k::Stage& stage);
  Result<int> relaid(int id, size_t along);
  Result<void> rows(const std::vector<const k::Stage*>& stages);

  // host_control.cpp
  l::Stmt& emit(l::StmtKind kind);
  Result<void> special(const k::Stage& s);
  l::Tensor tensor(int id, bool decided = false);
  Result<void> call(const k::Stage& s);
  Expr host_load(int id, const Dim& element);
  Expr as_i64(Expr e);
  void let(const Symbol& symbol, Expr e);
  Result<void> read(const k::Stage& s);
  int64_t declare(DType t, Expr init);
  void set(int64_t local, Expr e);
  void assign(int from, int to);
  void copy(int from, int to, const Dim& shift = 0);
  Result<void> inside(std::vector<l::Stmt>& list, const std::function<Result<void>()>& f);
  Result<void> branch(const k::Stage& s);
  Result<void> decide_late(const k::Stage& s, const std::vector<bool>& late, const std::vector<int>& results,
                           const std::vector<int64_t>& extents, const Symbol& iteration);
  Result<void> grow(const k::Stage& s, int64_t room, const Symbol& iteration, const Symbol& trip);
  int renamed(int id, TensorType type);
  std::vector<int> next_values(const k::Stage& s);
  bool replaced_for_good(const k::Block& body, size_t k) const;
  void release_after_first(int object, const Symbol& iteration);
  Result<void> loop(const k::Stage& s);

  struct Life {
    int first, last;
  };

  // groups.cpp
  struct Launched {
    int position;
    double time = 0;  // an estimate, picoseconds
    std::vector<std::pair<int, bool>> values;  // whether it writes them
    bool border = false;  // writes what is around a value
  };
  static int64_t cost_of(const Launch& l);
  bool in_order(const Launched& a, const Launched& b) const;
  double most_memory(const std::map<int, Life>& lives) const;
  std::map<int, Life> lives_after(const std::vector<std::vector<size_t>>& groups,
                                  const std::vector<const Launched*>& run) const;
  std::vector<std::vector<size_t>> grouped(const std::vector<const Launched*>& run, bool move) const;
  void group(std::vector<l::Stmt>& list);
  std::map<int64_t, Launched> launched_;  // by kernel
  k::Program p_;
  const TargetFacts& facts_;
  const ScheduleOptions options_;
  Storages storages_;
  std::set<int> put_together_;  // results of maps, of which others make a part in place
  std::set<int> begun_;  // values that hold windows, and have their memory
  std::map<int, int64_t> winograd_;  // result of a convolution -> outputs per side of a tile
  l::Program out_;
  std::vector<l::Stmt>* host_ = nullptr;
  std::map<int, int> buffers_;  // value -> host buffer
  std::map<int, int> outputs_;  // value -> output
  std::map<int64_t, Symbol> entry_symbols_;
  std::vector<int> arena_;  // values
  std::map<int, Life> lives_;
  std::set<int> bordered_;
  std::vector<l::Stmt> tables_;  // make the constants of strings
  int model_values_ = 0;  // values from here on were made by schedules
  struct Piece {
    int64_t at;
    TensorRef data;  // null: in the section already
  };
  std::vector<Piece> weights_;  // to be appended to the section
  std::multimap<uint64_t, Piece> pieces_;  // all of the section, by a sample of their contents
  std::map<int64_t, std::string_view> known_;  // contents of those in the section already, by place
  int64_t weight_bytes_ = 0;
  int position_ = 0;
  int node_ = -1;
  std::vector<int> doing_;  // nodes of the model that the next kernel is made of, in order
  int64_t next_local_ = 0;
  std::vector<Launch>* chained_ = nullptr;  // takes the launches of stages that become part of a chain's kernel
  std::vector<k::Iter> bound_;  // by that kernel
  bool chain_fits_ = true;  // every product of it has a schedule of its own
  std::map<std::pair<int, size_t>, int> relaid_;  // (constant, dim) -> the same with this dim last
};

}  // namespace ingot
