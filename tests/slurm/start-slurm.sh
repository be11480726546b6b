#!/bin/bash
# Start a Slurm of one node on the loopback interface, as root (Debian: apt-get install slurm-wlm munge).
#   start-slurm.sh          start it, or find it running
#   start-slurm.sh stop     end what this script started
set -eu
host=$(hostname -s)
state=/var/spool/rung-slurm

if [ "${1:-start}" = stop ]; then
  for daemon in slurmd slurmctld; do
    if [ -s "$state/$daemon.pid" ]; then kill "$(cat "$state/$daemon.pid")" 2>/dev/null || true; rm -f "$state/$daemon.pid"; fi
  done
  exit 0
fi

if timeout 5 sinfo --noheader 2>/dev/null | grep -q idle; then sinfo; exit 0; fi
for program in munged slurmctld slurmd; do
  if [ ! -x "/usr/sbin/$program" ]; then echo "There is no $program; install it with: apt-get install slurm-wlm munge" >&2; exit 1; fi
done

# authentication: a key that only munge reads
mkdir -p /etc/munge /run/munge /var/log/munge /var/lib/munge "$state/controller" "$state/node" /etc/slurm
if [ ! -s /etc/munge/munge.key ]; then (umask 077; head -c 1024 /dev/urandom > /etc/munge/munge.key); fi
chown -R munge:munge /etc/munge /run/munge /var/log/munge /var/lib/munge
chmod 700 /etc/munge; chmod 400 /etc/munge/munge.key; chmod 755 /run/munge
pgrep -x munged >/dev/null || runuser -u munge -- /usr/sbin/munged
munge -n | unmunge >/dev/null

cores=$(nproc)
memory=$(awk '/^MemTotal/ {print int($2 / 2048)}' /proc/meminfo)
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=loop
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores Boards=1 SocketsPerBoard=1 CoresPerSocket=$cores ThreadsPerCore=1 RealMemory=$memory State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF

/usr/sbin/slurmctld
/usr/sbin/slurmd
for _ in $(seq 30); do
  if timeout 5 sinfo --noheader 2>/dev/null | grep -q idle; then sinfo; exit 0; fi
  sleep 1
done
echo "Slurm did not come up; see $state/*.log:" >&2
tail -n 5 "$state"/*.log >&2
exit 1
