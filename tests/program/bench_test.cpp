// SPDX-License-Identifier: MIT
// What the figures of `bitnet bench` rest on: statistics, and the energy counters of machines as they were recorded.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/cores.h"
#include "bench/energy.h"
#include "bench/statistics.h"

namespace bitnet::program {
namespace {

namespace fs = std::filesystem;

TEST(Statistics, OfFewAndOfMany) {
  EXPECT_EQ(summary({3}).stdev, 0);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  const Summary s = summary({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(s.mean, 5);
  EXPECT_EQ(s.median, 4.5);
  EXPECT_NEAR(s.stdev, std::sqrt(32.0 / 7), 1e-12);
  EXPECT_EQ(s.p95, 9);
  EXPECT_NEAR(variation({9, 11}), std::sqrt(2.0) / 10, 1e-12);
}

// Rates of two programs on a machine whose speed changes for both at a time.
struct Pair {
  std::vector<double> a, b;
};
Pair noisy_pair(double ratio, unsigned seed, size_t rounds) {
  std::mt19937 random(seed);
  std::normal_distribution<double> weather(0, 0.2), own(0, 0.05);
  Pair pair;
  for (size_t i = 0; i < rounds; ++i) {
    const double both = weather(random);
    pair.a.push_back(100 * ratio * std::exp(both + own(random)));
    pair.b.push_back(100 * std::exp(both + own(random)));
  }
  return pair;
}

TEST(Statistics, FivePerCentAreFoundAndEqualThingsAreEqual) {
  int found = 0, mistaken = 0;
  constexpr int kTrials = 100;
  for (int i = 0; i < kTrials; ++i) {
    const Pair slower = noisy_pair(0.95, static_cast<unsigned>(i), 60);
    const Interval interval = paired_ratio(slower.a, slower.b);
    EXPECT_TRUE(interval.low <= interval.ratio && interval.ratio <= interval.high);
    found += interval.high < 1;
    const Pair equal = noisy_pair(1, static_cast<unsigned>(1000 + i), 60);
    mistaken += paired_ratio(equal.a, equal.b).excludes_one();
  }
  EXPECT_GE(found, 90);
  EXPECT_LE(mistaken, 5);
}

TEST(Statistics, TheSamePairsGiveTheSameInterval) {
  const Pair pair = noisy_pair(0.9, 5, 20);
  const Interval one = paired_ratio(pair.a, pair.b), again = paired_ratio(pair.a, pair.b);
  EXPECT_EQ(one.low, again.low);
  EXPECT_EQ(one.high, again.high);
}

class Energy : public testing::Test {
 protected:
  Energy() { fs::remove_all(root_); }
  ~Energy() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  void write_rapl() {
    const std::string rapl = "sys/class/powercap/intel-rapl";
    write(rapl + ":0/name", "package-0");
    write(rapl + ":0/energy_uj", "262143000000");
    write(rapl + ":0/max_energy_range_uj", "262143328850");
    write(rapl + ":0:0/name", "core");
    write(rapl + ":0:0/energy_uj", "1000");
    write(rapl + ":0:1/name", "dram");
    write(rapl + ":0:1/energy_uj", "5000000");
    write(rapl + ":0:1/max_energy_range_uj", "65712999613");
    write(rapl + ":1/name", "psys");
    write(rapl + ":1/energy_uj", "7");
  }

  const fs::path root_ = fs::path(testing::TempDir()) / ("energy-" + std::to_string(process_id()) + "-" +
                                                         testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(Energy, RaplCountsPackagesAndMemoryAndWrapsAround) {
  write_rapl();
  EnergyMeter meter(root_.string());
  ASSERT_TRUE(meter.works());
  EXPECT_EQ(meter.source(), "RAPL: package-0, dram");
  EXPECT_EQ(meter.joules(), 0);
  write("sys/class/powercap/intel-rapl:0/energy_uj", "1000000");  // 328850 to the end, and a joule
  write("sys/class/powercap/intel-rapl:0:1/energy_uj", "7500000");
  write("sys/class/powercap/intel-rapl:0:0/energy_uj", "9000000");  // part of the package
  EXPECT_NEAR(meter.joules(), 1.32885 + 2.5, 1e-9);
  EXPECT_NEAR(meter.joules(), 1.32885 + 2.5, 1e-9);
}

TEST_F(Energy, IdleIsSubtracted) {
  write_rapl();
  EnergyMeter meter(root_.string());
  meter.calibrate(0.01);
  EXPECT_EQ(meter.idle_watts(), 0);
  write("sys/class/powercap/intel-rapl:0:1/energy_uj", "6000000");
  EXPECT_NEAR(meter.joules(), 1, 1e-9);
}

TEST_F(Energy, MonitorsOfAmd) {
  write("sys/class/hwmon/hwmon2/name", "amd_energy");
  write("sys/class/hwmon/hwmon2/energy1_label", "Ecore000");
  write("sys/class/hwmon/hwmon2/energy1_input", "5");
  write("sys/class/hwmon/hwmon2/energy9_label", "Esocket0");
  write("sys/class/hwmon/hwmon2/energy9_input", "4000000");
  EnergyMeter meter(root_.string());
  EXPECT_EQ(meter.source(), "hwmon: amd_energy Esocket0");
  write("sys/class/hwmon/hwmon2/energy9_input", "6500000");
  EXPECT_NEAR(meter.joules(), 2.5, 1e-9);
}

TEST_F(Energy, ABatteryCountsWhileItIsEmptied) {
  const std::string battery = "sys/class/power_supply/BAT0/";
  write(battery + "type", "Battery");
  write(battery + "status", "Charging");
  write(battery + "energy_now", "40000000");
  EXPECT_FALSE(EnergyMeter(root_.string()).works());
  write(battery + "status", "Discharging");
  EnergyMeter meter(root_.string());
  EXPECT_EQ(meter.source(), "battery: BAT0");
  write(battery + "energy_now", "39990000");  // 10 mWh
  EXPECT_NEAR(meter.joules(), 36, 1e-9);
  write(battery + "energy_now", "39995000");  // plugged in
  EXPECT_NEAR(meter.joules(), 36, 1e-9);
}

TEST_F(Energy, WhatMayNotBeReadIsNamedWithWhatAllowsIt) {
  write("sys/class/powercap/intel-rapl:0/name", "package-0");
  fs::create_directories(root_ / "sys/class/powercap/intel-rapl:0/energy_uj");  // as unreadable, also for root
  const EnergyMeter meter(root_.string());
  EXPECT_FALSE(meter.works());
  EXPECT_NE(meter.problem().find("/sys/class/powercap/intel-rapl:0/energy_uj may not be read"), std::string::npos);
  EXPECT_NE(meter.problem().find("chmod a+r"), std::string::npos);
}

TEST_F(Energy, NoneIsSaid) {
  EXPECT_NE(EnergyMeter(root_.string()).problem().find("no energy counters"), std::string::npos);
  EXPECT_EQ(EnergyMeter(root_.string()).source(), "");
}

}  // namespace
}  // namespace bitnet::program
