// SPDX-License-Identifier: Apache-2.0
// `fryer study status`, `report`, `export` and `merge`: what is done with a study's file once it has results. None of them changes it.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "host/cli/files.h"
#include "host/cli/output/json.h"
#include "host/cli/run_support.h"
#include "host/cli/study_command.h"
#include "host/study/export.h"
#include "host/study/gnuplot.h"
#include "host/study/report.h"
#include "host/study/store_files.h"
#include "host/study/unfinished.h"

namespace fryer::cli {
namespace {

void refuse_same(const std::string& option, const std::string& output, const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    for (const std::string_view suffix : study::kSuffixes) {
      if (is_same_file(output, input + std::string(suffix)))
        throw ConfigurationError(fmt::format("{}: {} is the study's own file", option, shown_path(output)));
    }
  }
}

// ---- status

class StudyStatus : public StudyCommand {
 public:
  StudyStatus()
      : StudyCommand(
            {"study status",
             "FILE.db",
             "how far a study is",
             "Reads only: safe while the study runs, and in a directory that cannot be written to. Trainings that were begun and "
             "are not finished stand in FILE.db-unfinished; they are counted too, and those that ended and are written with "
             "them.",
             {{"how far it is", "study status study.db"}, {"for programs", "study status study.db --json"}}},
            {1, 1}) {
    add_output_options();
  }
  int run(const Console& console) override {
    const Stopwatch watch;
    const study::Store store = study::Store::open(files[0], study::Access::read);
    const StudyState state = state_of(store);
    if (!state.lost.empty() && !common_.quiet) console.note("fryer: warning: " + state.lost);
    if (common_.json) {
      Json document = study_json(*this, store, state, watch.seconds());
      document["runs"] = Json::array();
      for (const study::Provenance& run : store.runs()) {
        document["runs"].push_back({{"started", run.started},
                                    {"host", run.host},
                                    {"processor", run.processor},
                                    {"operating_system", run.operating_system},
                                    {"device", run.device},
                                    {"isa", run.isa},
                                    {"threads", run.threads},
                                    {"program_version", run.program_version},
                                    {"numerics_version", run.numerics_version},
                                    {"compiler", run.compiler},
                                    {"command_line", run.command_line}});
      }
      console.print(to_text(document));
      return 0;
    }
    std::string text = study_text(console, store, state, common_.verbose);
    if (state.unfinished != 0 || state.waiting != 0) {
      text +=
          fmt::format("{} begun and not finished{}: {} holds them\n", counted(state.unfinished, "trainings"),
                      state.waiting != 0 ? fmt::format(", {} that ended and wait for them", with_separators(state.waiting)) : "",
                      shown_path(study::UnfinishedFile(store).path()));
    }
    text +=
        state.complete() ? "complete\n" : fmt::format("not complete; to go on: fryer study resume {}\n", shell_word(files[0]));
    console.print(text);
    return 0;
  }
};

// ---- report

class StudyReport : public StudyCommand {
 public:
  StudyReport()
      : StudyCommand({"study report",
                      "FILE.db",
                      "a page that says what a study's data do and do not show",
                      "One self-contained HTML page: tables, plots with intervals, the methods and their sources, the "
                      "configuration and the "
                      "command that repeats it. gnuplot draws the plots.",
                      {{"a page to read", "study report study.db -o report.html"},
                       {"and its plots as SVG, PDF and PNG, for a paper", "study report study.db -o report.html --plots plots"}}},
                     {1, 1}) {
    add_output(output_, "a file name", "where the page goes; FILE.html beside FILE.db unless given");
    table_.text("plots", "DIR", plots_, "a directory, made if there is none",
                "also write every plot to DIR as .svg, .pdf and .png");
    add_output_options();
  }
  int run(const Console& console) override {
    const Stopwatch watch;
    std::string path = output_;
    if (path.empty()) path = (files[0].ends_with(".db") ? files[0].substr(0, files[0].size() - 3) : files[0]) + ".html";
    refuse_same("--output", path, files);
    if (common_.json && is_standard_output(path))
      throw ConfigurationError("--output: standard output is where the document of --json goes; another file");
    study::require_gnuplot();
    const study::Store store = study::Store::open(files[0], study::Access::read);
    OutputFile page("--output", path);  // a place for it, before the work
    if (!plots_.empty()) make_directory(plots_);
    const study::StudySummary summary = study::analyse(store);
    page.write(study::report_html(summary, repeat_command(store), &stop_requested));
    page.commit();
    std::vector<std::string> written = {path};
    if (!plots_.empty()) {
      for (const study::Plot& plot : study::make_plots(summary)) {
        for (const char* format : {"svg", "pdf", "png"}) {
          OutputFile file("--plots", (std::filesystem::path(plots_) / (plot.name + "." + format)).string());
          file.write(study::draw(plot, format, &stop_requested));
          file.commit();
          written.push_back(file.path());
        }
      }
    }
    if (common_.json) {
      Json document = study_json(*this, store, state_of(store), watch.seconds());
      document["summary"] = summary.sentence;
      for (std::size_t i = 0; i < summary.cells.size(); ++i) document["results"][i]["sentence"] = summary.cells[i].sentence;
      document["files"] = written;
      console.print(to_text(document));
      return 0;
    }
    std::string text = wrapped(summary.sentence, 0, console.out.width) + "\n\n";
    constexpr std::size_t kMostCells = 12;
    for (std::size_t i = 0; i < summary.cells.size() && (common_.verbose || i < kMostCells); ++i) {
      const study::CellSummary& cell = summary.cells[i];
      text += wrapped(fmt::format("{}: {}", cell.label, cell.sentence), 2, console.out.width) + '\n';
    }
    if (!common_.verbose && summary.cells.size() > kMostCells)
      text += fmt::format("... {} more cells in the page (-v shows all)\n", with_separators(summary.cells.size() - kMostCells));
    text += fmt::format("\nwrote {} in {}\n", shown_path(path), human_seconds(watch.seconds()));
    if (written.size() > 1) text += fmt::format("wrote {} plot files to {}\n", written.size() - 1, shown_path(plots_));
    console.print(text);
    return 0;
  }

 private:
  static void make_directory(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) throw FileError(fmt::format("--plots {}: cannot make the directory: {}", shown_path(path), error.message()));
  }
  // The command that began the file.
  static std::string repeat_command(const study::Store& store) {
    const std::vector<study::Provenance> runs = store.runs();
    const auto run = std::find_if(runs.begin(), runs.end(), [](const study::Provenance& p) {
      return p.command_line.find("study run") != std::string::npos;
    });
    return run != runs.end() ? run->command_line : "fryer study run FILE.toml, with the text above in FILE.toml";
  }

  std::string output_, plots_;
};

// ---- export

class StudyExport : public StudyCommand {
 public:
  StudyExport()
      : StudyCommand({"study export",
                      "FILE.db",
                      "a study's rows as a file that pandas or NumPy reads",
                      "One row a replica, by cell and seed: the cell's settings, the seed, and what was recorded.",
                      {{"for pandas.read_csv", "study export study.db -o rows.csv"},
                       {"for numpy.load, an array a column", "study export study.db -o rows.npz"}}},
                     {1, 1}) {
    add_output(output_, "a file name that ends in .csv, .jsonl or .npz", "where the rows go");
    add_output_options();
  }
  void resolve() override {
    if (output_.empty()) throw ConfigurationError("--output: missing; a file name that ends in .csv, .jsonl or .npz");
    format_ = study::export_format(output_);
  }
  int run(const Console& console) override {
    const Stopwatch watch;
    refuse_same("--output", output_, files);
    const study::Store store = study::Store::open(files[0], study::Access::read);
    OutputFile file("--output", output_);
    study::export_study(store, format_, [&](std::string_view bytes) {
      if (stop_requested) throw Stopped();
      file.write(bytes);
    });
    file.commit();
    const StudyState state = state_of(store);
    if (common_.json) {
      Json document = study_json(*this, store, state, watch.seconds());
      document["rows"] = state.finished;
      document["files"] = {output_};
      console.print(to_text(document));
      return 0;
    }
    console.print(fmt::format("wrote {} to {} in {}\n", counted(state.finished, "rows"), shown_path(output_),
                              human_seconds(watch.seconds())));
    return 0;
  }

 private:
  std::string output_;
  study::ExportFormat format_ = study::ExportFormat::csv;
};

// ---- merge

class StudyMerge : public StudyCommand {
 public:
  StudyMerge()
      : StudyCommand({"study merge",
                      "A.db B.db ...",
                      "put the parts of a study together",
                      "All files must be of the same study (the same settings and numerics version); replicas that two of them "
                      "have must be "
                      "the same.",
                      {{"two shards", "study merge study.1-of-2.db study.2-of-2.db -o study.db"},
                       {"for programs", "study merge a.db b.db c.db -o all.db --json"}}},
                     {2, 100'000}) {
    add_output(output_, "a file name", "the study they make together; must not exist yet");
    add_output_options();
  }
  void resolve() override {
    if (output_.empty()) throw ConfigurationError("--output: missing; the name of the file that the parts make together");
  }
  int run(const Console& console) override {
    const Stopwatch watch;
    refuse_same("--output", output_, files);
    study::merge(files, output_, &stop_requested);
    const study::Store store = study::Store::open(output_, study::Access::read);
    const StudyState state = state_of(store);
    if (common_.json) {
      Json document = study_json(*this, store, state, watch.seconds());
      document["file"] = output_;
      console.print(to_text(document));
      return 0;
    }
    console.print(study_text(console, store, state, common_.verbose) +
                  fmt::format("{}\n", state.complete() ? "complete" : "not complete: more parts are needed"));
    return 0;
  }

 private:
  std::string output_;
};

}  // namespace

std::unique_ptr<Command> make_study_status_command(const Subject&) { return std::make_unique<StudyStatus>(); }
std::unique_ptr<Command> make_study_report_command(const Subject&) { return std::make_unique<StudyReport>(); }
std::unique_ptr<Command> make_study_export_command(const Subject&) { return std::make_unique<StudyExport>(); }
std::unique_ptr<Command> make_study_merge_command(const Subject&) { return std::make_unique<StudyMerge>(); }

}  // namespace fryer::cli
