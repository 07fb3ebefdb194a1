// SPDX-License-Identifier: MIT
#include "bench/energy.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <thread>

#include "base/control_group.h"

namespace bitnet::program {

namespace {

namespace fs = std::filesystem;

constexpr double kMicrojoule = 1e-6, kMicrowatthour = 3600e-6;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool read_number(const std::string& path, uint64_t& number) {
  const std::string text = read_system_file(path);
  std::string_view rest = text;
  return take_number(rest, number);
}

std::string line_of(const std::string& path) {
  const std::string text = read_system_file(path);
  return text.substr(0, text.find('\n'));
}

// In the order of their names. None if there is no such folder.
std::vector<std::string> entries(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code none;
  for (fs::directory_iterator it(folder, none), end; !none && it != end; it.increment(none)) {
    paths.push_back(it->path().string());
  }
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

EnergyMeter::EnergyMeter(const std::string& root) {
  if (!add_rapl(root) && !add_monitors(root)) add_battery(root);
  if (works()) {
    problem_.clear();
  } else if (problem_.empty()) {
    problem_ = "this machine has no energy counters (none in /sys/class/powercap, hwmon or a battery in use)";
  }
  since_ = now();
}

bool EnergyMeter::add(const std::string& name, Counter counter) {
  if (!read_number(counter.path, counter.last)) {
    std::error_code none;
    if (problem_.empty() && fs::exists(counter.path, none)) {
      problem_ = counter.path + " may not be read; `sudo chmod a+r " + counter.path +
                 "` allows it until the next start, and a rule of udev for good";
    }
    return false;
  }
  counters_.push_back(std::move(counter));
  source_ += (counters_.size() > 1 ? ", " : "") + name;
  return true;
}

bool EnergyMeter::add_rapl(const std::string& root) {
  for (const std::string& zone : entries(root + "/sys/class/powercap")) {
    const std::string name = line_of(zone + "/name");
    // The cores and the graphics are part of their package, and psys has all in it.
    if (!name.starts_with("package") && name != "dram") continue;
    Counter counter{zone + "/energy_uj", kMicrojoule, 0, false};
    read_number(zone + "/max_energy_range_uj", counter.range);
    add(counters_.empty() ? "RAPL: " + name : name, std::move(counter));
  }
  return works();
}

bool EnergyMeter::add_monitors(const std::string& root) {
  for (const std::string& monitor : entries(root + "/sys/class/hwmon")) {
    const std::string name = line_of(monitor + "/name");
    for (const std::string& file : entries(monitor)) {
      const std::string base = fs::path(file).filename().string();
      if (!base.starts_with("energy") || !base.ends_with("_input")) continue;
      const std::string label = line_of(file.substr(0, file.size() - 5) + "label");
      if (label.starts_with("Ecore")) continue;  // a core is part of its socket
      add((counters_.empty() ? "hwmon: " + name : name) + (label.empty() ? "" : " " + label),
          {file, kMicrojoule, 0, false});
    }
  }
  return works();
}

bool EnergyMeter::add_battery(const std::string& root) {
  for (const std::string& supply : entries(root + "/sys/class/power_supply")) {
    if (line_of(supply + "/type") != "Battery" || line_of(supply + "/status") != "Discharging") continue;
    add("battery: " + fs::path(supply).filename().string(), {supply + "/energy_now", kMicrowatthour, 0, true});
  }
  return works();
}

double EnergyMeter::joules() {
  for (Counter& counter : counters_) {
    uint64_t value = 0;
    if (!read_number(counter.path, value)) continue;
    uint64_t steps = counter.falls ? counter.last - value : value - counter.last;
    const bool back = counter.falls ? value > counter.last : value < counter.last;
    if (back) steps = counter.range != 0 && !counter.falls ? counter.range - counter.last + value : 0;
    used_ += static_cast<double>(steps) * counter.joules;
    counter.last = value;
  }
  return used_ - idle_watts_ * (now() - since_);
}

void EnergyMeter::calibrate(double seconds) {
  const double from = joules(), start = now();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const double watts = (joules() - from) / (now() - start);
  idle_watts_ += watts;
  used_ = 0;
  since_ = now();
}

}  // namespace bitnet::program
