// SPDX-License-Identifier: MIT
// What the machine's own counters say of its energy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bitnet::program {

class EnergyMeter {
 public:
  // The processor's counters (RAPL: packages and memory), or those of hardware monitors, or a battery that is being
  // emptied; of these the first that can be read. `root` stands before /sys.
  explicit EnergyMeter(const std::string& root = {});

  bool works() const { return !counters_.empty(); }
  const std::string& source() const { return source_; }    // "RAPL: package-0, dram"; "" if there is none
  const std::string& problem() const { return problem_; }  // why there is none, and what to do

  // Since the meter was made, or calibrated. Counters that wrap around do so in minutes: ask more often than that.
  double joules();

  // Watches the idle machine, whose power is taken off from now on.
  void calibrate(double seconds);
  double idle_watts() const { return idle_watts_; }

 private:
  struct Counter {
    std::string path;
    double joules;   // of a step
    uint64_t range;  // where it begins again at 0; 0: it does not
    bool falls;      // what is left in a battery
    uint64_t last = 0;
  };
  bool add(const std::string& name, Counter counter);
  bool add_rapl(const std::string& root);
  bool add_monitors(const std::string& root);
  bool add_battery(const std::string& root);

  std::vector<Counter> counters_;
  std::string source_, problem_;
  double used_ = 0, idle_watts_ = 0, since_ = 0;
};

}  // namespace bitnet::program
