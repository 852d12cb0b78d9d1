// SPDX-License-Identifier: Apache-2.0
// `fryer train CartPole-v1` and -v0 by value learners, DQN and online Q-learning: their options, what they tell while they train and what is
// said of the result.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "fryer/engine/memory.h"
#include "fryer/engine/registry.h"
#include "host/cli/settings.h"
#include "host/cli/train_command.h"
#include "host/cpu_backend.h"
#include "host/driver.h"

namespace fryer::cli {
namespace {

constexpr const char* kDqn = "dqn";

Description describe(const std::string& algorithm) {
  Description d;
  d.name = "train";
  d.arguments = "ENV";
  d.summary = "train one policy, or N independent ones with seeds S, S+1, ..., S+N-1";
  d.text =
      "Value learners (dqn, q-learning) train a Q network 4 - H1 - H2 - 2 of ReLU units for --episodes. A curve's point is an "
      "episode; "
      "episodes that lie in the warm-up as a whole are counted in totals, not in the curve, in --episodes or by --until. With -v "
      "one "
      "training tells every ten episodes their mean return.";
  if (algorithm == kDqn) {
    d.examples = {{"the workshop's DQN, told every ten episodes, and its network kept",
                   "train CartPole-v0 --preset workshop -v --save-policy policy.json"},
                  {"how many of 100 seeds reach 475 within 1,000 episodes",
                   "train CartPole-v1 --algorithm dqn --episodes 1000 --until 475 --replicas 100"}};
  } else {
    d.examples = {
        {"the TensorFlow post's online Q-learning, a thousand times", "train CartPole-v1 --preset tensorflow --replicas 1000"},
        {"the field's rule instead, with a little exploration",
         "train CartPole-v1 --algorithm q-learning --epsilon-start 0.05 --episodes 500"}};
  }
  return d;
}

QTrainConfiguration defaults_of(const std::string& algorithm, std::uint32_t max_steps) {
  return algorithm == kDqn ? dqn_defaults(max_steps) : q_learning_defaults(max_steps);
}

class CartPoleQTrain : public TrainCommand {
 public:
  explicit CartPoleQTrain(const Subject& subject);
  std::string why_not(const std::string& option) const override;
  std::optional<study::CellConfiguration> cell() const override { return c_; }
  void take(const study::CellConfiguration& cell) override { c_ = std::get<QTrainConfiguration>(cell); }
  void apply_preset(const std::string& name) override;
  void resolve() override;

 private:
  bool is_dqn() const { return algorithm() == kDqn; }
  TrainView view() const override {
    const CartPole::Settings& s = c_.training.environment;
    std::vector<std::string> names = parameter_names(c_.training.shape);
    std::vector<bool> learned(names.size(), true);
    return {c_,
            0,
            std::move(names),
            std::move(learned),
            s.sutton_barto_reward ? -1.0 : 0.0,
            s.sutton_barto_reward ? 0.0 : static_cast<double>(s.max_steps)};
  }
  void check() const override { validate(c_, workers()); }
  WorkEstimate work() const override { return estimate(c_, workers()); }
  // Of all ranks of this machine: they divide its processors, or their launcher has, unless each is given a number of threads.
  unsigned workers() const {
    const RanksOfMachine ranks = ranks_of_machine();
    return common_.backend.threads != 0 ? common_.backend.threads * ranks.count : std::max(usable_threads(), ranks.processors);
  }
  TrainResult train_with(Backend& backend, const RunControl& control) const override { return train(c_, backend, control); }
  Plan plan() const override;
  double train_part(Backend& backend, std::uint64_t steps) const;
  EpisodeWatch episode_watch(ProgressMeter& meter) const override;
  std::string result_text(const Console& console, const TrainResult& r) const override;
  std::string last_returns(const TrainResult& r) const;
  void describe_policy(SavedPolicy& policy) const override { policy.q_network = c_.training.shape; }
  std::string remedy() const override {
    const QTrainingSettings& t = c_.training;
    return failure_remedy(t.optimizer, t.reward_scale, t.learning.clip_norm == 0);
  }

  void add_network();
  void add_exploration();
  void add_batch();
  void add_replay();
  void add_target_network();
  void add_online_target();
  void add_learning();

  QTrainConfiguration c_;
};

CartPoleQTrain::CartPoleQTrain(const Subject& subject)
    : TrainCommand(describe(subject.algorithm), subject, c_),
      c_(defaults_of(subject.algorithm, default_max_steps(subject.environment))) {
  QTrainingSettings& t = c_.training;
  add_population_options();
  table_.integer("episodes", "E", t.episodes, "a whole number from 1 to 2147483647", "episodes",
                 "how long to train; a warm-up's episodes come before");
  add_batch();
  add_optimizer(table_, t.optimizer);
  table_.number("gamma", "G", t.learning.gamma, "a number from 0 to 1", "a factor", "discount of later rewards");
  add_reward_scale(table_, t.reward_scale);
  add_network();
  add_exploration();
  if (is_dqn()) {
    add_replay();
    add_target_network();
  } else {
    add_online_target();
  }
  add_learning();
  add_until("a mean return that episodes can have, or none", fmt::format("{} episodes", kValueLearnerWindow));
  add_cart_pole(table_, t.environment);
  add_files("each parameter");
  add_backend_options();
}

void CartPoleQTrain::add_batch() {
  QTrainingSettings& t = c_.training;
  if (is_dqn()) {
    table_.integer("batch", "B", t.batch, fmt::format("a whole number from 1 to {}, at most --buffer", kMostBatch), "transitions",
                   "transitions per update, drawn from the buffer without replacement");
    return;
  }
  Option batch;
  batch.name = "batch";
  batch.placeholder = "1";
  batch.accepted = "1, the only one that q-learning has: it learns from each transition as it is made";
  batch.unit = "transitions";
  batch.help = "transitions per update";
  batch.numeric = true;
  batch.value = [&t] { return Json(t.batch); };
  batch.read = [accepted = batch.accepted](const std::string& text) {
    if (parse_integer(text) != 1) not_accepted(text, accepted);
  };
  table_.add(batch);
}

void CartPoleQTrain::add_network() {
  QTrainingSettings& t = c_.training;
  Option hidden;
  hidden.name = "hidden";
  hidden.placeholder = "H1,H2";
  hidden.accepted = kHiddenSizes;
  hidden.unit = "units";
  hidden.help = "sizes of the Q network's two hidden layers: a network 4 - H1 - H2 - 2";
  hidden.list = true;
  hidden.value = [&t] { return hidden_sizes(t.shape); };
  hidden.read = [&t, accepted = hidden.accepted](const std::string& text) { t.shape = read_hidden_sizes(text, accepted); };
  table_.add(hidden);
  Option activation;
  activation.name = "activation";
  activation.placeholder = "relu";
  activation.accepted = "relu, the only one that Q networks have";
  activation.help = "what a hidden unit makes of its weighted sum";
  activation.choices = {"relu"};
  activation.value = [] { return Json("relu"); };
  activation.read = [accepted = activation.accepted](const std::string& text) {
    if (text != "relu") not_accepted(text, accepted);
  };
  table_.add(activation);
  add_initialisation_choice(table_, t.initialisation, "where the network");
}

void CartPoleQTrain::add_exploration() {
  using Schedule = EpsilonSettings::Schedule;
  EpsilonSettings& e = c_.training.epsilon;
  const char* const probability = "a probability from 0 to 1";
  table_.number("epsilon-start", "P", e.start, probability, "probability",
                "how often an action is random instead of greedy: at first, or always with --epsilon-schedule constant");
  table_.number("epsilon-end", "P", e.end, probability, "probability", "the same at the end of the schedule");
  table_.integer("epsilon-decay-steps", "N", e.decay_steps, "a whole number from 1 to 2^53", "steps",
                 "steps of the training, warm-up included, in which a linear schedule comes to its end, or in which an "
                 "exponential one falls to 1/e of the way");
  table_.choice<Schedule>(
      "epsilon-schedule", e.schedule,
      {{"constant", Schedule::constant}, {"linear", Schedule::linear}, {"exponential", Schedule::exponential}},
      "how the probability goes from its start to its end");
  for (const char* name : {"epsilon-end", "epsilon-decay-steps"})
    table_.find(name)->needs([&e] { return e.schedule != Schedule::constant; }, "epsilon-schedule");
}

void CartPoleQTrain::add_replay() {
  QTrainingSettings& t = c_.training;
  table_.integer("buffer", "N", t.replay_capacity, fmt::format("a whole number from --batch to {}", kMostTransitions),
                 "transitions", "size of the replay buffer; the newest transition takes the oldest one's place");
  table_.integer("warmup-steps", "N", t.warmup_steps, "a whole number from 0 to 2^40", "steps",
                 "random steps before the first update");
  table_.toggle("warmup-whole-episodes", t.warmup_in_whole_episodes,
                "play the warm-up's last episode to its end, so that the warm-up is whole episodes");
  table_.integer("train-every", "N", t.train_every, "a whole number from 1 to 2^40", "steps",
                 "steps, warm-up included, between two rounds of updates");
  table_.integer("gradient-steps", "N", t.gradient_steps, "a whole number from 1 to 4294967295", "updates", "updates per round");
  table_.toggle("update-after-last-step", t.updates_after_last_step, "whether an episode's last step is followed by updates too");
}

void CartPoleQTrain::add_target_network() {
  QLearningSettings& l = c_.training.learning;
  table_.number("target-mix", "TAU", l.tau, "a number above 0, at most 1", "a factor",
                "target network <- target + TAU (online - target); 1 copies it (the workshop calls 1 - TAU tau)");
  table_.integer("target-every", "N", l.target_every, "a whole number from 1", "updates", "updates between two of these");
  table_.toggle(
      "double", [&l] { return l.bootstrap == Bootstrap::double_q; },
      [&l](bool on) { l.bootstrap = on ? Bootstrap::double_q : Bootstrap::target_network; },
      "double DQN: the online network chooses the next action, the target network says what it is worth");
}

void CartPoleQTrain::add_online_target() {
  table_.choice<Bootstrap>("target", c_.training.learning.bootstrap,
                           {{"residual", Bootstrap::residual}, {"semi-gradient", Bootstrap::semi_gradient}},
                           "whether the gradient flows through the target's own Q value too (Baird 1995), or holds it fixed");
}

void CartPoleQTrain::add_learning() {
  QTrainingSettings& t = c_.training;
  table_.choice<Loss>("loss", t.learning.loss, {{"mse", Loss::mse}, {"huber", Loss::huber}},
                      "of an error d: d^2, or d^2 / 2 to |d| = 1 and |d| - 1/2 beyond; mean over the batch");
  Option& clip = table_.number("clip-norm", "C", t.learning.clip_norm, "a number above 0 that a float can hold, or off (0)",
                               "as a gradient", "longest gradient: a longer one is scaled to it");
  clip.read = [read = clip.read](const std::string& text) { read(text == "off" ? "0" : text); };
  table_.toggle("terminal-mask", t.terminal_mask, "whether targets of an episode's end have no future; off: as if it went on");
  table_
      .choice<Truncation>(
          "truncation", t.truncation, {{"bootstrap", Truncation::bootstrap}, {"terminal", Truncation::terminal}},
          "what the end by --max-steps is: bootstrap, a cut of an episode that would go on, or terminal, an end as "
          "any other")
      .needs([&t] { return t.terminal_mask; }, "terminal-mask");
}

std::string CartPoleQTrain::why_not(const std::string& option) const {
  const auto is_one_of = [&](std::initializer_list<const char*> names) {
    return std::find(names.begin(), names.end(), option) != names.end();
  };
  if (option == "updates") return fmt::format("not an option of {}, which trains for --episodes", algorithm());
  if (option == "parameters" || option == "policy")
    return "train has no such option: a Q network's training starts from --initialisation";
  if (option == "random" || option == "greedy")
    return "train has no such option: --epsilon-start and its schedule say how often an action is random";
  if (!is_dqn() && is_one_of({"buffer", "warmup-steps", "warmup-whole-episodes", "train-every", "gradient-steps",
                              "update-after-last-step", "target-mix", "target-every", "double"})) {
    return "not an option of q-learning, but of dqn: it learns from each transition as it is made, without buffer, warm-up and "
           "target "
           "network";
  }
  if (is_dqn() && option == "target") return "not an option of dqn, but of q-learning: dqn's target network is held fixed";
  return TrainCommand::why_not(option);
}

void CartPoleQTrain::apply_preset(const std::string& name) {
  using Preset = QTrainConfiguration (*)(std::uint32_t);
  constexpr std::pair<std::string_view, Preset> kPresetsByName[] = {
      {"workshop", workshop_preset}, {"zoo", zoo_preset}, {"cleanrl", cleanrl_preset}, {"tensorflow", tensorflow_preset}};
  for (const auto& [known, preset] : kPresetsByName) {
    if (known != name) continue;
    const auto replicas = c_.replicas, seed = c_.seed;
    c_ = preset(default_max_steps(environment_));
    c_.replicas = replicas;
    c_.seed = seed;
  }
}

void CartPoleQTrain::resolve() {
  TrainCommand::resolve();
  if (c_.until && c_.training.episodes < kValueLearnerWindow) {
    warnings.push_back(fmt::format("--until looks back on {} episodes: with --episodes {} no training can meet it",
                                   kValueLearnerWindow, c_.training.episodes));
  }
}

// A short training without --until, on a few steps of warm-up, left after a while; returns its steps.
double CartPoleQTrain::train_part(Backend& backend, std::uint64_t steps) const {
  constexpr std::uint64_t kStepsOfAnEpisode = 20, kMostReplicas = 64;
  QTrainConfiguration part = c_;
  part.until.reset();
  part.replicas = std::clamp<std::uint64_t>(std::min(work().parallelism, kMostReplicas), 1, c_.replicas);
  part.training.warmup_steps = std::min<std::uint64_t>(c_.training.warmup_steps, c_.training.batch);
  part.training.episodes = std::clamp<std::uint64_t>(steps / kStepsOfAnEpisode / part.replicas, 1, c_.training.episodes);
  constexpr double kLongest = 0.3;  // seconds
  const Stopwatch watch;
  StopToken pause{false};
  RunControl control{&stop_requested, nullptr, &pause};
  control.progress = [&](std::uint64_t, std::uint64_t) {
    if (watch.seconds() > kLongest) pause = true;
  };
  TrainingStates states = fresh_states(part, false);
  train_on(std::vector<QTrainConfiguration>{part}, states, backend, control);
  return std::accumulate(states.table.steps.begin(), states.table.steps.end(), 0.0);
}

Plan CartPoleQTrain::plan() const {
  Plan plan;
  const std::uint64_t parameters = static_cast<std::uint64_t>(c_.training.shape.parameters());
  plan.what = fmt::format("{} of {} with a Q network of {}{}", counted(c_.replicas, "trainings"),
                          counted(c_.training.episodes, "episodes"), counted(parameters, "parameters"),
                          c_.until ? " (or fewer, by --until)" : "");
  plan.work = work();
  plan.episodes = static_cast<double>(c_.training.episodes) * static_cast<double>(c_.replicas);
  plan.steps = guessed_steps(c_) * static_cast<double>(c_.replicas);
  plan.replica_bytes = memory_of_replica(c_).total();
  plan.pilot = [this](Backend& backend, std::uint64_t steps) { return train_part(backend, steps); };
  return plan;
}

EpisodeWatch CartPoleQTrain::episode_watch(ProgressMeter& meter) const {
  constexpr std::uint64_t kTogether = 10;
  if (!common_.verbose || common_.quiet || c_.replicas != 1) return {};
  return [this, &meter, sum = std::uint64_t{0}](std::uint64_t first, std::span<const std::uint32_t> outcomes) mutable {
    for (const std::uint32_t outcome : outcomes) {
      sum += outcome;
      if (++first % kTogether != 0) continue;
      meter.tell(fmt::format("episode {}: mean return of the last ten {:.1f}", first,
                             mean_return_of(c_, static_cast<double>(sum), double{kTogether})));
      sum = 0;
    }
  };
}

// Mean returns at the curve's end.
std::string CartPoleQTrain::last_returns(const TrainResult& r) const {
  const std::vector<CurvePoint>& curve = r.curve;
  if (curve.empty()) return "";
  const auto mean_of_last = [&](std::size_t n) {
    double sum = 0, count = 0;
    for (std::size_t i = curve.size() - std::min(n, curve.size()); i < curve.size(); ++i) {
      sum += curve[i].mean_return * static_cast<double>(curve[i].count);
      count += static_cast<double>(curve[i].count);
    }
    return sum / count;
  };
  const CurvePoint& last = curve.back();
  constexpr std::size_t kFew = 10, kMany = kValueLearnerWindow;
  std::string text =
      fmt::format("Mean return of the {} {:.4g}", last_of(std::min(curve.size(), kFew), "episodes"), mean_of_last(kFew));
  if (curve.size() > kFew) text += fmt::format(", of the last {} {:.4g}", std::min(curve.size(), kMany), mean_of_last(kMany));
  if (last.count != c_.replicas)
    text += fmt::format(" ({} went on until episode {})", counted(last.count, "trainings"), last.update);
  return text + '\n';
}

std::string CartPoleQTrain::result_text(const Console& console, const TrainResult& r) const {
  const TrainView training = view();
  const std::size_t all = training.parameters.size();
  if (c_.replicas > 1) {
    return solved_text(training, r) + last_returns(r) + final_return_text(r) + threshold_histogram(console.out, training, r) +
           paint(console.out, Style::dim,
                 fmt::format("({} a training; --json and --save-replicas have them)\n", counted(all, "parameters")));
  }
  if (r.failed.count != 0) return "The training failed.\n";
  std::string text = last_returns(r) + threshold_text(training, r);
  return text +
         paint(console.out, Style::dim, fmt::format("({}; --json and --save-policy have them)\n", counted(all, "parameters")));
}

}  // namespace

std::unique_ptr<Command> make_cart_pole_q_train_command(const Subject& subject) {
  return std::make_unique<CartPoleQTrain>(subject);
}

}  // namespace fryer::cli
