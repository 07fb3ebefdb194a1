// SPDX-License-Identifier: MIT
#include "bench/energy.h"

namespace bitnet::program {

EnergyMeter::EnergyMeter(const std::string&) : problem_("Windows shows programs no energy counters") {}

double EnergyMeter::joules() { return 0; }

void EnergyMeter::calibrate(double) {}

}  // namespace bitnet::program
