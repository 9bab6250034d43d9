"""What machine this is, for figures that mean something only beside its name."""
import platform
import re
import subprocess
from pathlib import Path

import psutil
from joblib import cpu_count


def describe():
    """Return the machine as a dict of texts, but `cores`, a number: processor, cores, system, memory, python.

    The cores are those that this process may use: no more than its affinity and the limit of its container allow.
    """
    processor, system = platform.processor() or platform.machine(), platform.platform(terse=True)
    if Path("/proc/cpuinfo").exists():
        names = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        processor = names[1] if names else processor
    if platform.system() == "Darwin":  # whose platform.processor() is "arm"
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        processor = subprocess.run(command, capture_output=True, text=True).stdout.strip() or processor
    if Path("/etc/os-release").exists():
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return {"processor": processor, "cores": cpu_count(), "system": system,
            "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB", "python": platform.python_version()}
