// SPDX-License-Identifier: Apache-2.0
// `fryer trace ENV`: one episode, every step of it, as a table, CSV, JSON or an animated drawing.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fryer/core/version.h"
#include "fryer/engine/registry.h"
#include "host/cli/command.h"
#include "host/cli/output/episode_svg.h"
#include "host/cli/output/json.h"
#include "host/cli/run_support.h"
#include "host/cli/settings.h"

namespace fryer::cli {
namespace {

using Actions = TraceConfiguration::Actions;
using Precision = TraceConfiguration::Precision;

enum class Format { text, csv, json };

Description describe(const std::string& made_for) {
  const std::string environment = made_for == CartPole::kNameV0 ? CartPole::kNameV0 : CartPole::kNameV1;
  Description d;
  d.name = "trace";
  d.arguments = "ENV";
  d.summary = "play one episode and show every step of it";
  d.text =
      "Who plays: --actions, a policy (--parameters or --policy), or --random. In double precision each step is Gymnasium's to "
      "the "
      "last rounding; with --precision float it is the arithmetic of trainings, and a policy's episode is the first one of "
      "`fryer evaluate` with the same --seed. The episode ends when it is terminated or truncated, or where the actions end.";
  d.examples = {{"four pushes from a state that is given", "trace " + environment + " --actions 0110 --state 0,0,0.05,0"},
                {"a random episode as an animation, for a browser", "trace " + environment + " --random --output episode.svg"}};
  return d;
}

class TraceCommand : public Command {
 public:
  explicit TraceCommand(const std::string& environment);
  bool takes_environment() const override { return true; }
  bool supports_environment() const override { return environment_ == CartPole::kNameV0 || environment_ == CartPole::kNameV1; }
  std::string why_not(const std::string& option) const override;
  void settle() override;
  void resolve() override;
  int run(const Console& console) override;

 private:
  void add_actions();
  void add_state();
  void add_outputs();
  Plan plan() const;
  std::string player() const;
  std::string file_text(const TraceResult& r, double seconds) const;
  std::string csv(const TraceResult& r) const;
  Json document(const TraceResult& r, double seconds) const;
  std::string text(const Console& console, const TraceResult& r) const;
  std::string ending(const TraceResult& r) const;

  TraceConfiguration c_;
  PolicyChoice policy_;
  bool random_ = false;
  std::string player_ = "actions";  // the option that says who plays
  Format format_ = Format::text;
  std::string output_;
};

TraceCommand::TraceCommand(const std::string& environment) : Command(describe(environment), environment) {
  if (supports_environment()) c_.environment.max_steps = default_max_steps(environment);
  add_actions();
  add_state();
  add_cart_pole_policy_choice(table_, {c_.parameters, c_.hidden, &c_.q_network}, policy_);
  table_.flag("random", random_, "either action with probability 1/2");
  table_.flag("greedy", c_.greedy, "take the policy's likelier action instead of sampling");
  table_.choice<Precision>("precision", c_.precision, {{"double", Precision::float64}, {"float", Precision::float32}},
                           "arithmetic of the episode: Gymnasium's, or that of trainings");
  add_seed(table_, c_.seed, "seed of the start state, unless --state gives it, and of a policy's actions");
  table_.flag("continue", c_.continue_past_end,
              "go on past the end, as Gymnasium allows: to the last action, or to --max-steps with a policy");
  add_cart_pole(table_, c_.environment);
  add_outputs();
  add_backend_options();
  const auto only_for = [this](const char* name, Actions source) {
    table_.find(name)->conditions.push_back({[this, source] { return c_.source == source; }, [this] { return player_; }});
  };
  only_for("actions", Actions::given);
  for (const char* name : {"parameters", "policy", "hidden", "activation", "greedy"}) only_for(name, Actions::policy);
}

void TraceCommand::add_actions() {
  Option actions;
  actions.name = "actions";
  actions.placeholder = "0110...";
  actions.accepted = "0 (push left) or 1 (push right) for each step";
  actions.help = "what to do, step by step";
  actions.value = [this] { return c_.actions.empty() ? Json() : Json(c_.actions); };
  actions.read = [this](const std::string& text) {
    TraceConfiguration c;  // alone, so that the refusal names the option as it was given
    c.actions = text;
    try {
      validate(c);
    } catch (const ConfigurationError& error) {
      throw ConfigurationError(std::string(error.what()).substr(std::string("--actions: ").size()));
    }
    c_.actions = text;
  };
  table_.add(actions);
}

void TraceCommand::add_state() {
  Option state;
  state.name = "state";
  state.placeholder = "X,V,THETA,OMEGA";
  state.accepted = "four finite numbers with commas between: position, velocity, angle, angular velocity; or none";
  state.unit = "m, m/s, rad, rad/s";
  state.help = "the start state, also one outside the limits: the first step then ends the episode; none: the seed's";
  state.value = [this] { return c_.state ? Json(*c_.state) : Json(); };
  state.read = [this, accepted = state.accepted](const std::string& text) {
    if (text == "none") {
      c_.state.reset();
    } else {
      c_.state = read_numbers<4>(text, accepted);
    }
  };
  table_.add(state);
}

void TraceCommand::add_outputs() {
  table_.choice<Format>("format", format_, {{"text", Format::text}, {"csv", Format::csv}, {"json", Format::json}},
                        "what to print: a table for people, one for programs, or the document of --json");
  table_.find("format")->setting = false;
  Option& output = table_.text("output", "FILE", output_, "a file name that ends in .svg, .csv or .json",
                               "write the episode to FILE: .svg draws it, moving, for any browser");
  output.short_name = "o";
  output.read = [this, accepted = output.accepted](const std::string& text) {
    const auto ends = [&](const char* with) { return text.ends_with(with); };
    if (!ends(".svg") && !ends(".csv") && !ends(".json")) not_accepted(text, accepted);
    output_ = text;
  };
}

std::string TraceCommand::why_not(const std::string& option) const {
  if (option == "episodes") return "trace has no such option: it plays one episode; fryer evaluate plays many";
  return Command::why_not(option);
}

// One of the players plays: the one named last, the command line coming after a file.
void TraceCommand::settle() {
  struct Candidate {
    Actions actions;
    const Option* option;
    bool given;
  };
  const Option *parameters = table_.find("parameters"), *file = table_.find("policy");
  const Option* policy = parameters->source >= file->source ? parameters : file;
  const Candidate candidates[] = {{Actions::given, table_.find("actions"), !c_.actions.empty()},
                                  {Actions::policy, policy, policy->source != Source::standard},
                                  {Actions::random, table_.find("random"), random_}};
  const Candidate* chosen = nullptr;
  for (const Candidate& candidate : candidates) {
    if (!candidate.given || (chosen != nullptr && candidate.option->source < chosen->option->source)) continue;
    if (chosen != nullptr && candidate.option->source == chosen->option->source) {
      throw ConfigurationError(
          fmt::format("{}: cannot be combined with --{}; give one of them", candidate.option->label, chosen->option->name));
    }
    chosen = &candidate;
  }
  if (chosen == nullptr) {
    throw ConfigurationError("--actions: missing; who plays? --actions, --parameters, --policy or --random");
  }
  c_.source = chosen->actions;
  player_ = chosen->option->name;
  const Option& greedy = *table_.find("greedy");
  if (c_.source != Actions::policy && c_.greedy) {
    if (greedy.source >= chosen->option->source)
      throw ConfigurationError(fmt::format("{}: has no meaning with --{}", greedy.label, chosen->option->name));
    c_.greedy = false;
  }
  random_ = c_.source == Actions::random;
}

void TraceCommand::resolve() {
  if (c_.source == Actions::policy) {
    resolve_cart_pole_policy(table_, environment_, {c_.parameters, c_.hidden, &c_.q_network}, policy_);
    if (c_.q_network) resolve_greedy(table_, c_.greedy);
  }
  if (format_ == Format::json) common_.json = true;
  if (format_ == Format::csv && common_.json) {
    throw ConfigurationError(
        fmt::format("{}: csv cannot be combined with --json; give one of them", table_.find("format")->label));
  }
  if (!output_.empty() && is_standard_output(output_)) {
    throw ConfigurationError(fmt::format("{}: {} is where standard output goes; another file, or --format csv",
                                         table_.find("output")->label, shown(output_)));
  }
  for (const std::string& input : {policy_.file, common_.config}) {
    if (!output_.empty() && !input.empty() && is_same_file(output_, input))
      throw ConfigurationError(fmt::format("{}: {} is read too; another file", table_.find("output")->label, shown(output_)));
  }
  if (common_.backend.device == BackendChoice::Device::cuda) {
    throw ConfigurationError(fmt::format("{}: one episode is played on the CPU; auto or cpu", table_.find("device")->label));
  }
  validate(c_);
}

std::string TraceCommand::player() const {
  switch (c_.source) {
    case Actions::given:
      return fmt::format("{} action{}", with_separators(c_.actions.size()), c_.actions.size() == 1 ? "" : "s");
    case Actions::random:
      return "the random policy";
    case Actions::policy:
      break;
  }
  if (c_.q_network) return policy_words(*c_.q_network) + ", greedy";
  return fmt::format("the policy {}{}{}", c_.hidden.units == 0 ? "" : "with ", policy_words(c_.parameters, c_.hidden, ","),
                     c_.greedy ? ", greedy" : "");
}

Plan TraceCommand::plan() const {
  Plan plan;
  plan.what = fmt::format("one episode of {}", player());
  plan.work.steps = 1;
  plan.work.parallelism = 1;
  plan.episodes = 1;
  if (!output_.empty()) plan.outputs.push_back(output_);
  plan.pilot = [this](Backend&, std::uint64_t) {
    try {
      trace(c_);
    } catch (const RunError&) {  // so will the run
    }
    return 1.0;
  };
  return plan;
}

double return_of(const TraceResult& r) {
  double total = 0;
  for (const TraceResult::Step& step : r.steps) total += step.reward;
  return total;
}

// A row for the start state, without action, reward and flags, then one for each step; numbers that read back to the same bits.
std::string TraceCommand::csv(const TraceResult& r) const {
  const auto state = [](const std::array<double, 4>& s) { return fmt::format("{},{},{},{}", s[0], s[1], s[2], s[3]); };
  std::string text = "step,action,position,velocity,angle,angular_velocity,reward,terminated,truncated\n";
  text += fmt::format("0,,{},,,\n", state(r.initial_state));
  for (std::size_t t = 0; t < r.steps.size(); ++t) {
    const TraceResult::Step& step = r.steps[t];
    text += fmt::format("{},{:d},{},{},{:d},{:d}\n", t + 1, step.action, state(step.state), step.reward, step.terminated,
                        step.truncated);
  }
  return text;
}

Json TraceCommand::document(const TraceResult& r, double seconds) const {
  Json document = document_head(*this, c_.seed);
  document["digest"] = hex16(r.digest);
  document["backend"] = backend_json({"cpu", "scalar", 1, "one episode is played on one thread"});
  document["wall_seconds"] = seconds;
  document["episodes"] = 1;
  document["length"] = r.steps.size();
  document["return"] = return_of(r);
  document["initial_state"] = r.initial_state;
  Json steps = Json::array();
  for (const TraceResult::Step& step : r.steps) {
    steps.push_back({{"action", step.action ? 1 : 0},
                     {"state", step.state},
                     {"reward", step.reward},
                     {"terminated", step.terminated},
                     {"truncated", step.truncated}});
  }
  document["steps"] = std::move(steps);
  return document;
}

// How the episode ended, or that it did not.
std::string TraceCommand::ending(const TraceResult& r) const {
  const auto first = std::find_if(r.steps.begin(), r.steps.end(),
                                  [](const TraceResult::Step& step) { return step.terminated || step.truncated; });
  const std::string total =
      fmt::format("Return {:g} after {} step{}", return_of(r), r.steps.size(), r.steps.size() == 1 ? "" : "s");
  if (first == r.steps.end()) return total + "; the actions end here, the episode does not";
  const CartPole::Settings& limits = c_.environment;
  std::string why;
  if (first->terminated) {
    const bool position = std::abs(first->state[0]) > limits.position_limit;
    why = position ? fmt::format("terminated: the cart is beyond {:g} m", limits.position_limit)
                   : fmt::format("terminated: the angle is beyond {:.4g} rad ({:.4g} degrees)", limits.angle_limit,
                                 limits.angle_limit * 180 / 3.141592653589793);
  }
  if (first->truncated) why += fmt::format("{}truncated at {} steps", why.empty() ? "" : ", and ", limits.max_steps);
  const auto step = first - r.steps.begin() + 1;
  if (!c_.continue_past_end) return total + "; " + why;
  return fmt::format("{}; the episode ended at step {}, {}", total, step, why);
}

// Without -v the first and the last rows of a long episode.
std::string TraceCommand::text(const Console& console, const TraceResult& r) const {
  constexpr std::size_t kMost = 24, kEachEnd = 10;
  const std::size_t count = r.steps.size();
  const bool shortened = count > kMost && !common_.verbose;
  Table table;
  table.headings = {"step", "action", "position", "velocity", "angle", "angular velocity", "reward"};
  const auto add = [&](std::string step, std::string action, const std::array<double, 4>& state, std::string reward) {
    std::vector<std::string>& row = table.rows.emplace_back();
    row = {std::move(step), std::move(action)};
    for (const double x : state) row.push_back(short_number(x));
    row.push_back(std::move(reward));
  };
  add("0", "", r.initial_state, "");
  for (std::size_t t = 0; t < count; ++t) {
    if (shortened && t >= kEachEnd && t < count - kEachEnd) {
      if (t == kEachEnd) table.rows.push_back({"...", "", "", "", "", "", ""});
      continue;
    }
    add(std::to_string(t + 1), r.steps[t].action ? "right" : "left", r.steps[t].state, fmt::format("{:g}", r.steps[t].reward));
  }
  std::string text = render(console.out, table);
  if (shortened) {
    text += paint(console.out, Style::dim,
                  fmt::format("({} of {} steps; -v shows all, --format csv in full precision)", 2 * kEachEnd, count)) +
            '\n';
  }
  text += '\n' + paint(console.out, Style::bold, ending(r)) + '\n';
  return text + fmt::format("{} on {}, {} precision; digest {} (numerics version {})\n", player(), environment_,
                            c_.precision == Precision::float64 ? "double" : "float", hex16(r.digest), kNumericsVersion);
}

std::string TraceCommand::file_text(const TraceResult& r, double seconds) const {
  if (output_.ends_with(".svg")) return episode_svg(environment_, c_.environment, r);
  return output_.ends_with(".csv") ? csv(r) : to_text(document(r, seconds));
}

int TraceCommand::run(const Console& console) {
  // A place for the file first: an episode without a place for it is lost.
  const std::unique_ptr<OutputFile> file = output_.empty() ? nullptr : std::make_unique<OutputFile>("--output", output_);
  if (common_.dry_run) return run_dry(*this, console, c_.seed, plan());
  BackendChoice cpu = common_.backend;
  cpu.device = BackendChoice::Device::cpu;
  make_backend(cpu);  // a forced instruction set that this machine lacks is an error all the same
  const Stopwatch watch;
  const TraceResult r = trace(c_);
  const double seconds = watch.seconds();
  if (file) {
    file->write(file_text(r, seconds));
    file->commit();
  }
  if (common_.json) {
    console.print(to_text(document(r, seconds)));
  } else {
    console.print(format_ == Format::csv ? csv(r) : text(console, r));
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_trace_command(const Subject& subject) {
  return std::make_unique<TraceCommand>(subject.environment);
}

}  // namespace fryer::cli
